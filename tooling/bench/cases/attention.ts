import type { Case, Contender } from "../contender.ts";
import { attentionFlops, attentionProblem, keyValueBytes, type AttentionProblem, type AttentionShape } from "./attention-problem.ts";
import { gradientRows, outputRows, rowsError } from "./attention-reference.ts";

/** A case before its numbers are made. */
export interface AttentionCase {
  readonly name: string;
  readonly shape: AttentionShape;
  /** What it is there to show; `memory` is for contenders of ours alone. */
  readonly purpose: "time" | "memory";
}

export type Listed = (listed: AttentionCase) => readonly Contender<AttentionProblem>[];

export interface AttentionOptions {
  readonly quick: boolean;
  readonly cases: RegExp;
  /** Who takes part in a case. */
  readonly contenders: Listed;
}

/** Right: forward within 1e-5, gradients within 1e-4, as `rowsError` has it. */
const tolerances = { forward: 1e-5, decode: 1e-5, backward: 1e-4 } as const;

const heads = { heads: 8, kvHeads: 8, headDim: 64 } as const;

function square(kind: "forward" | "backward", causal: boolean, size: number): AttentionCase {
  const name = `${kind === "forward" ? "forward" : "forward+backward"} ${causal ? "causal" : "full"} ${String(size)}`;
  return { name, purpose: "time", shape: { kind, causal, ...heads, queries: size, keys: size } };
}

const decode = (kvHeads: number, keys: number): AttentionCase =>
  ({ name: `decode 8/${String(kvHeads)} ${String(keys)}`, purpose: "time", shape: { kind: "decode", causal: false, ...heads, kvHeads, queries: 1, keys } });

/** One head where a score matrix of 8 would not fit any binding, and takes minutes besides. */
const memory = (size: number, share: Partial<AttentionShape> = {}): AttentionCase =>
  ({ name: `memory causal ${String(size)}`, purpose: "memory", shape: { kind: "forward", causal: true, ...heads, queries: size, keys: size, ...share } });

/** Cases that race together, since they are compared with each other. */
export function attentionGroups({ quick, cases }: Pick<AttentionOptions, "quick" | "cases">): AttentionCase[][] {
  const sizes = quick ? [512] : [512, 1024, 2048, 4096];
  const groups = [
    ...sizes.map((size) => [square("forward", false, size), square("forward", true, size), ...(size <= 1024 ? [square("backward", true, size)] : [])]),
    ...(quick ? [[decode(8, 1024)]] : [[decode(8, 1024), decode(2, 1024)], [decode(8, 8192), decode(2, 8192)]]),
    ...(quick ? [[memory(1024)]] : [[memory(1024), memory(2048), memory(4096)], [memory(32_768, { heads: 1, kvHeads: 1 })]]),
  ];
  return groups.map((group) => group.filter(({ name }) => cases.test(name))).filter((group) => group.length > 0);
}

/** The case with its numbers and its reference, which takes up to seconds. */
export function attentionCase(listed: AttentionCase, contenders: Listed): Case<AttentionProblem> {
  const { name, shape } = listed;
  const problem = attentionProblem(shape);
  const rows = shape.kind === "backward" ? gradientRows(problem) : outputRows(problem);
  const size = shape.kind === "backward" ? problem.q.length + problem.k.length + problem.v.length : problem.q.length;
  return {
    bench: "attention",
    name,
    problem,
    contenders: contenders(listed),
    flops: attentionFlops(shape),
    ...(shape.kind === "decode" && { bytes: keyValueBytes(shape) }),
    perRun: problem.calls,
    warmups: 1,
    error: (output) => rowsError(output, rows, size),
    tolerance: tolerances[shape.kind],
  };
}
