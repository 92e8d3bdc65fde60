import { describe, plan, type Capture, type Caps, type KernelPlugin, type Mask, type Problem, type QkPairHook, type ScoreHook } from "@polyhead/core";
import { uniform } from "../random.ts";
import { roundToHalf } from "./half.ts";

/** One attention computation: sizes, what acts on the scores, and which rows count. */
export interface KernelProblem {
  readonly batch?: number;
  readonly heads: number;
  readonly kvHeads?: number;
  readonly queries: number;
  readonly keys: number;
  readonly size: number;
  /** Head size of the values. Default `size`. */
  readonly valueSize?: number;
  readonly dtype?: "f32" | "f16";
  readonly mask: Mask;
  readonly qk?: readonly QkPairHook[];
  readonly score?: readonly ScoreHook[];
  /** `[B|1, Hq|1, Tq, Tk]`. */
  readonly bias?: readonly [number, number];
  readonly scale?: number;
  readonly qOffset?: number;
  readonly kvOffset?: number;
  /** Rows of k and v in use. */
  readonly inUse?: number;
  readonly starts?: readonly number[];
  readonly lengths?: readonly number[];
  /** Numbers of the caller's instead of random ones. */
  readonly values?: Partial<Readonly<Record<"q" | "k" | "v" | "bias", ArrayLike<number>>>>;
}

/** Numbers with their shape. */
export interface Numbers {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** The inputs of a problem as numbers, the same for the kernel and for the reference. */
export interface ProblemData {
  readonly q: Numbers;
  readonly k: Numbers;
  readonly v: Numbers;
  readonly bias?: Numbers;
  /** Seeds of the gradient: those of o and of lse. */
  readonly dO: Numbers;
  readonly dLse: Numbers;
}

export const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export const sizesOf = (p: KernelProblem): { readonly B: number; readonly Hq: number; readonly Hkv: number; readonly Tq: number; readonly Tk: number; readonly D: number; readonly Dv: number } => ({
  B: p.batch ?? 1, Hq: p.heads, Hkv: p.kvHeads ?? p.heads, Tq: p.queries, Tk: p.keys, D: p.size, Dv: p.valueSize ?? p.size,
});

/** Random numbers of a shape in [−range, range). */
export const numbers = (shape: readonly number[], seed: number, range = 1): Numbers => ({ shape, data: uniform(product(shape), seed).map((x) => range * x) });

/** Whether row j of k and v may be seen by anybody of batch row b. */
const counts = ({ inUse = Infinity, starts, lengths }: KernelProblem, b: number, j: number): boolean => j < inUse && j >= (starts?.[b] ?? 0) && j < (lengths?.[b] ?? Infinity);

/** Fills rows that do not count with NaN: whatever they hold must reach neither outputs nor gradients. */
function spoil({ data, shape }: Numbers, problem: KernelProblem): void {
  const [B = 0, H = 0, T = 0, D = 0] = shape;
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let j = 0; j < T; j++) if (!counts(problem, b, j)) data.fill(NaN, ((b * H + h) * T + j) * D, ((b * H + h) * T + j + 1) * D);
}

/** The numbers of a problem. Rows of k and v that do not count hold NaN. */
export function dataOf(problem: KernelProblem, seed: number): ProblemData {
  const { B, Hq, Hkv, Tq, Tk, D, Dv } = sizesOf(problem);
  const stored = (name: "q" | "k" | "v", shape: readonly number[], n: number): Numbers => {
    const given = problem.values?.[name];
    const { data } = given === undefined ? numbers(shape, seed * 16 + n, 2) : { data: Float32Array.from(given) };
    return { shape, data: problem.dtype === "f16" ? data.map(roundToHalf) : data };
  };
  const [q, k, v] = [stored("q", [B, Hq, Tq, D], 1), stored("k", [B, Hkv, Tk, D], 2), stored("v", [B, Hkv, Tk, Dv], 3)];
  spoil(k, problem);
  spoil(v, problem);
  const biasShape = problem.bias && [...problem.bias, Tq, Tk];
  const bias = biasShape && (problem.values?.bias === undefined ? numbers(biasShape, seed * 16 + 4) : { shape: biasShape, data: Float32Array.from(problem.values.bias) });
  return { q, k, v, ...(bias && { bias }), dO: numbers([B, Hq, Tq, Dv], seed * 16 + 5), dLse: numbers([B, Hq, Tq], seed * 16 + 6) };
}

/** The learned tables of a problem's score hooks. */
export const learnedOf = ({ score = [] }: KernelProblem): readonly Capture[] => [...new Set(score.flatMap(({ program }) => program.captures.filter(({ learned }) => learned)))];

export function planningProblem(problem: KernelProblem): Problem {
  const { Hq, Hkv, D, Dv, B, Tq, Tk } = sizesOf(problem);
  const { dtype = "f32", mask, qk = [], score = [], starts, lengths, inUse } = problem;
  return {
    heads: Hq, kvHeads: Hkv, headDimQK: D, headDimV: Dv, dtype, mask, qk, score, backward: true,
    cache: inUse === undefined ? "none" : "dense", dropout: false, padded: starts !== undefined || lengths !== undefined,
    sizes: { batch: B, queries: Tq, keys: Tk },
  };
}

/** Stands behind a kernel under test, so that the planner tells why it turned that one down. */
const anything: KernelPlugin = { kind: "kernel", name: "anything", spec: 1, preference: Infinity, lower: () => "inline", unsupported: () => [], run: () => { throw new Error("never run"); } };

/** Why a kernel does not take a problem; empty when it does. Score hooks that it wants as a tensor count as not taken. */
export function refusals(kernel: KernelPlugin, problem: KernelProblem, caps: Caps): readonly string[] {
  const { kernel: chosen, how, refused } = plan(planningProblem(problem), [kernel, anything], caps);
  if (chosen !== kernel) return refused.flatMap(({ why }) => why);
  return (problem.score ?? []).filter(({ id }) => how[id] !== "inline").map(({ id }) => `it wants score hook '${id}' as a tensor`);
}

/** A problem in a few words, for the names of laws. */
export function describeProblem(problem: KernelProblem): string {
  const { B, Hq, Hkv, Tq, Tk, D, Dv } = sizesOf(problem);
  const { dtype = "f32", mask, qk = [], score = [], bias, qOffset = 0, kvOffset = 0, inUse, starts, lengths } = problem;
  const hooks = [...qk.map(({ id }) => id), ...score.map(({ id }) => id)].join("+") || "no hooks";
  const rows = [starts && "starts", lengths && "lengths", inUse !== undefined && `${inUse} keys in use`].filter(Boolean);
  return [
    `${dtype}, ${Hq}/${Hkv} heads of ${D === Dv ? D : `${D}/${Dv}`}, ${B} × ${Tq} × ${Tk}`,
    describe(mask), hooks, ...(bias ? [`bias [${bias.join(", ")}]`] : []), ...(qOffset !== 0 || kvOffset !== 0 ? [`offsets ${qOffset}/${kvOffset}`] : []), ...rows,
  ].join(", ");
}
