import type { Case, Contender } from "../contender.ts";
import { rowsError, type Row } from "./attention-reference.ts";
import type { Bar } from "./flex-ratios.ts";
import { documentLengths, flexFlops, flexProblem, type FlexProblem, type FlexShape, type Modifier } from "./flex-problem.ts";
import { blockStates, flexGradientRows, flexOutputRows } from "./flex-reference.ts";

/** A case before its numbers are made. */
export interface FlexCase {
  readonly name: string;
  readonly shape: FlexShape;
  /** What its contenders are compared with. */
  readonly bars?: readonly Bar[];
}

export interface FlexOptions {
  readonly quick: boolean;
  readonly cases: RegExp;
}

const causal: Modifier = { kind: "causal" };
const eight = { heads: 8, headDim: 64 } as const;
/** A head alone where a dense case of eight would take seconds a call. */
const one = { heads: 1, headDim: 64 } as const;

/** What modifiers of scores cost where nothing is left out. */
function fused(size: number): FlexCase[] {
  const [n, base] = [String(size), `causal ${String(size)}`];
  const with_ = (name: string, modifier: Modifier, bar: Bar): FlexCase => ({ name: `${name} ${n}`, shape: { kind: "forward", modifier, ...eight, size }, bars: [bar] });
  return [
    with_("causal", causal, { of: base, contender: "flash", most: 1.15 }),
    with_("alibi", { kind: "alibi" }, { of: base, contender: "flash", most: 1.25 }),
    with_("softcap", { kind: "softcap", cap: 20 }, { of: base, contender: "flash", most: 1.25 }),
  ];
}

/** What leaving blocks out is worth, and what it costs to know them. */
function sparse(size: number, counts: readonly number[]): FlexCase[] {
  const n = String(size);
  const dense = `causal ${n} of one head`;
  const window: Modifier = { kind: "window", size: 256 };
  const documents = counts.map((count): Modifier => ({ kind: "documents", lengths: documentLengths(size, count) }));
  const forward = (name: string, modifier: Modifier, bar?: Bar): FlexCase => ({ name, shape: { kind: "forward", modifier, ...one, size }, ...(bar && { bars: [bar] }) });
  // A mask is told apart once for many forwards of many heads; here beside one forward of one head, dense and its own.
  const build = (name: string, modifier: Modifier): FlexCase =>
    ({ name: `build ${name} ${n}`, shape: { kind: "build", modifier, ...one, size }, bars: [{ of: dense, contender: "flash", most: 2 }, { of: `${name} ${n}`, contender: "flex", most: "no bar" }] });
  return [
    forward(dense, causal),
    forward(`window 256 ${n}`, window, { of: dense, contender: "flash", times: 8 }),
    ...documents.map((modifier, i) => forward(`documents ${String(counts[i])} ${n}`, modifier, { of: `documents ${String(counts[0])} ${n}`, contender: "flex", blocks: true })),
    build("window 256", window),
    build(`documents ${String(counts.at(-1))}`, documents.at(-1)!),
  ];
}

/** What a learned table costs going back. */
function learned(size: number): FlexCase[] {
  const base = `forward+backward causal ${String(size)}`;
  const case_ = (name: string, modifier: Modifier, bar?: Bar): FlexCase => ({ name, shape: { kind: "backward", modifier, heads: 4, headDim: 64, size }, ...(bar && { bars: [bar] }) });
  return [case_(base, causal), case_(`forward+backward relative ${String(size)}`, { kind: "relative", reach: 128 }, { of: base, contender: "flex", most: 1.5 })];
}

/** Cases that race together, since they are compared with each other. A case that another is compared with comes along. */
export function flexGroups({ quick, cases }: FlexOptions): FlexCase[][] {
  const groups = quick ? [fused(512), sparse(2048, [1, 8]), learned(512)] : [fused(1024), fused(2048), sparse(8192, [1, 4, 16, 64]), learned(512), learned(1024)];
  return groups
    .map((group) => {
      const wanted = group.filter(({ name }) => cases.test(name));
      const bases = new Set(wanted.flatMap(({ bars = [] }) => bars.map(({ of }) => of)));
      return group.filter((listed) => wanted.includes(listed) || bases.has(listed.name));
    })
    .filter((group) => group.length > 0);
}

/** The case with its numbers and its reference, which takes up to seconds. */
export function flexCase({ name, shape }: FlexCase, contenders: (shape: FlexShape) => readonly Contender<FlexProblem>[]): Case<FlexProblem> {
  const problem = flexProblem(shape);
  const { error, tolerance } = judge(problem);
  return { bench: "flex", name, problem, contenders: contenders(shape), flops: flexFlops(shape), perRun: problem.calls, warmups: 1, error, tolerance };
}

/** Right: forward within 1e-5, gradients within 1e-4, as `rowsError` has it, against float64; no state of a block other than it is. */
function judge(problem: FlexProblem): Pick<Case<FlexProblem>, "error" | "tolerance"> {
  const against = (rows: readonly Row[], size: number) => (output: Float32Array): number => rowsError(output, rows, size);
  switch (problem.kind) {
    case "forward":
      return { error: against(flexOutputRows(problem), problem.q.length), tolerance: 1e-5 };
    case "backward":
      return { error: against(flexGradientRows(problem), 3 * problem.q.length + problem.table.length), tolerance: 1e-4 };
    case "build": {
      const want = blockStates(problem);
      return { error: (states) => (states.length === want.length ? want.reduce((wrong, state, i) => wrong + Number(states[i] !== state), 0) : NaN), tolerance: 0 };
    }
  }
}
