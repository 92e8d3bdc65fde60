import { array64, referenceAttention, referenceGradients, type BoundHook, type KernelInputs, type ScoreHook, type TensorLike } from "@polyhead/core";
import { assertClose, FORWARD, GRADIENT, ONNX_F16 } from "../compare.ts";
import { roundToHalf } from "./half.ts";
import { dataOf, learnedOf, planningProblem, sizesOf, type KernelProblem, type Numbers, type ProblemData } from "./problem.ts";
import type { KernelEngine, KernelTensor, KernelUnderTest } from "./subject.ts";

/** What a run gave, read back. */
export interface KernelResults {
  readonly o: ArrayLike<number>;
  readonly lse: ArrayLike<number>;
  /** `q`, `k`, `v`, `bias` and the learned tables by name; empty where no gradient was asked for. */
  readonly gradients: Readonly<Record<string, ArrayLike<number>>>;
  /** The dtype of o. */
  readonly dtype: string;
}

/** Which outputs the loss Σ o·dO + Σ lse·dLse is made of. */
export type Through = "both" | "o" | "lse" | "nothing";

export interface RunOptions<T extends TensorLike> {
  readonly engine?: KernelEngine<T>;
  /** Default both. */
  readonly through?: Through;
  /** The last word on what the kernel is given. */
  readonly adjust?: (inputs: KernelInputs<T>) => KernelInputs<T>;
  /** Leaves other than q, k and v themselves, and how q, k and v are cut from them. */
  readonly layout?: { readonly leaves: Readonly<Record<string, Numbers>>; cut(leaves: Readonly<Record<string, T>>): Pick<KernelInputs<T>, "q" | "k" | "v"> };
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, f: (value: A) => B): Record<string, B> => Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]));

/** Applies the qk hooks beforehand, for a kernel that wants it so. The problem is then one without them. */
function beforehand(problem: KernelProblem, data: ProblemData): readonly [KernelProblem, ProblemData] {
  const turned = (side: "q" | "k", { data: rows, shape }: Numbers, offset: number): Numbers => {
    const [, H = 0, T = 0, D = 0] = shape;
    const out = Float32Array.from(rows);
    for (let row = 0; row * D < rows.length; row++) {
      let x = Float64Array.from(rows.subarray(row * D, (row + 1) * D));
      for (const hook of problem.qk ?? []) if (hook.applies === "both" || hook.applies === side) x = Float64Array.from(hook.reference(x, offset + (row % T), Math.floor(row / T) % H));
      out.set(x, row * D);
    }
    // What the kernel reads of them, where they are stored in f16.
    return { data: problem.dtype === "f16" ? out.map(roundToHalf) : out, shape };
  };
  return [{ ...problem, qk: [] }, { ...data, q: turned("q", data.q, problem.qOffset ?? 0), k: turned("k", data.k, problem.kvOffset ?? 0) }];
}

/** Runs the kernel, forward and, unless `through` is nothing, backward. Everything it made is gone afterwards. */
export async function runKernel<T extends KernelTensor<T>>(subject: KernelUnderTest<T>, problem: KernelProblem, data: ProblemData, options: RunOptions<T> = {}): Promise<KernelResults> {
  const { kernel, ops } = subject;
  const { engine = subject.engine, through = "both", adjust = (inputs: KernelInputs<T>) => inputs, layout } = options;
  const { mask, dtype = "f32", score = [], qk = [], size, scale = 1 / Math.sqrt(size), qOffset = 0, kvOffset = 0, inUse, starts, lengths } = problem;
  const leaf = ({ data: given, shape }: Numbers): T => engine.tensor(given, shape, { requiresGrad: true });
  const rows = mapValues(layout?.leaves ?? { q: data.q, k: data.k, v: data.v }, leaf);
  const tables = Object.fromEntries(learnedOf(problem).map((capture) => [capture.name, leaf({ data: Float32Array.from(capture.data), shape: capture.shape })]));
  const bias = data.bias && leaf(data.bias);
  const limit = (values: readonly number[] | undefined): T | undefined => values && engine.tensor(values, [values.length], { dtype: "i32" });
  const limits = { starts: limit(starts), lengths: limit(lengths) };
  const bound = (hook: ScoreHook): BoundHook<T, ScoreHook> => ({ hook, params: Object.fromEntries(Object.keys(hook.params).map((name) => [name, tables[name]!])) });
  const leaves = { ...rows, ...tables, ...(bias && { bias }) };
  const made: T[] = [...Object.values(leaves), ...Object.values(limits).filter((x) => x !== undefined)];

  const forward = (): { o: T; lse: T } => {
    const cut = layout === undefined ? { q: rows["q"]!, k: rows["k"]!, v: rows["v"]! } : layout.cut(rows);
    const stored = dtype === "f16" ? { q: ops.cast(cut.q, "f16"), k: ops.cast(cut.k, "f16"), v: ops.cast(cut.v, "f16") } : cut;
    const { o, lse } = kernel.run(adjust({
      ...stored, mask, scale, qOffset, kvOffset, dropout: 0,
      qk: qk.map((hook) => ({ hook, params: {} })), score: score.map(bound),
      ...(bias && { bias }), ...(inUse !== undefined && { keys: inUse }),
      ...(limits.starts && { starts: limits.starts }), ...(limits.lengths && { lengths: limits.lengths }),
    }));
    return { o, lse };
  };
  const weighed = (x: T, { data: weights, shape }: Numbers): T => ops.sum(ops.mul(x, engine.tensor(weights, shape)));
  const forwardAndBackward = (): { o: T; lse: T } => {
    const { o, lse } = forward();
    // Gradients are of f32 sums, whatever o is stored in.
    const wide = o.dtype === "f16" ? ops.cast(o, "f32") : o;
    const parts = [...(through === "lse" ? [] : [weighed(wide, data.dO)]), ...(through === "o" ? [] : [weighed(lse, data.dLse)])];
    parts.reduce((a, b) => ops.add(a, b)).backward();
    return { o, lse };
  };
  try {
    const { o, lse } = through === "nothing" ? engine.noGrad(() => engine.scope(forward)) : engine.scope(forwardAndBackward);
    made.push(o, lse);
    const gradients: Record<string, ArrayLike<number>> = {};
    if (through !== "nothing") for (const [name, { grad, size }] of Object.entries(leaves)) gradients[name] = grad === undefined ? nothingFor(name, size, through) : await grad.read();
    return { o: await o.read(), lse: await lse.read(), gradients, dtype: o.dtype };
  } finally {
    for (const x of made) {
      x.zeroGrad();
      x.dispose();
    }
  }
}

/** The log-sum-exp does not depend on the values, so they need not get a gradient then; otherwise a missing one is an error. */
const nothingFor = (name: string, size: number, through: Through): Float32Array => new Float32Array(name === "v" && through === "lse" ? size : 0);

/** The same results by the float64 reference. */
export function referenceResults(problem: KernelProblem, data: ProblemData, through: Through = "both"): KernelResults {
  const { Tk, B } = sizesOf(problem);
  const { mask, score = [], qk = [], size, scale = 1 / Math.sqrt(size), qOffset = 0, kvOffset = 0, inUse = Tk, starts, lengths } = problem;
  const wide = ({ data: given, shape }: Numbers) => array64(given, shape);
  const inputs = {
    q: wide(data.q), k: wide(data.k), v: wide(data.v), mask, scale, qk, score, qOffset, kvOffset,
    ...(data.bias && { bias: wide(data.bias) }), ...(starts && { starts }),
    lengths: Array.from({ length: B }, (_, b) => Math.min(inUse, lengths?.[b] ?? Tk)),
  };
  const { o, lse, stages } = referenceAttention(inputs);
  if (through === "nothing") return { o: o.data, lse: lse.data, gradients: {}, dtype: "f64" };
  const seed = (used: boolean, { data: given, shape }: Numbers) => array64(used ? given : new Float32Array(given.length), shape);
  const found = referenceGradients(inputs, seed(through !== "lse", data.dO), seed(through !== "o", data.dLse), { o, lse, stages });
  const tables = Object.fromEntries(learnedOf(problem).map((capture) => [capture.name, found.captures.get(capture)?.data ?? new Float64Array(capture.data.length)]));
  return { o: o.data, lse: lse.data, gradients: { q: found.q.data, k: found.k.data, v: found.v.data, ...(found.bias && { bias: found.bias.data }), ...tables }, dtype: "f64" };
}

/** @throws PolyheadError `COMPARE_MISMATCH` naming the first output or gradient that is off. */
export function assertResults(got: KernelResults, want: KernelResults, problem: KernelProblem): void {
  const { B, Hq, Hkv, Tq, Tk, D, Dv } = sizesOf(problem);
  const shapes: Readonly<Record<string, readonly number[]>> = { q: [B, Hq, Tq, D], k: [B, Hkv, Tk, D], v: [B, Hkv, Tk, Dv], ...(problem.bias && { bias: [...problem.bias, Tq, Tk] }), ...Object.fromEntries(learnedOf(problem).map(({ name, shape }) => [name, shape])) };
  assertClose(got.o, want.o, { label: "o", shape: [B, Hq, Tq, Dv], rule: got.dtype === "f16" ? ONNX_F16 : FORWARD });
  assertClose(got.lse, want.lse, { label: "lse", shape: [B, Hq, Tq] });
  for (const [name, gradient] of Object.entries(want.gradients)) assertClose(got.gradients[name] ?? [], gradient, { label: `the gradient of ${name}`, rule: GRADIENT, shape: shapes[name]! });
}

/** Runs a problem on the kernel and on the reference, and compares all that both give. Returns what the kernel gave. */
export async function checkProblem<T extends KernelTensor<T>>(subject: KernelUnderTest<T>, problem: KernelProblem, seed: number, { through = "both", ...options }: RunOptions<T> = {}): Promise<KernelResults> {
  const apart = subject.inlineQk !== true && (problem.qk ?? []).some((hook) => subject.kernel.lower(hook, planningProblem(problem)) !== "inline");
  const original = dataOf(problem, seed);
  const [asked, data] = apart ? beforehand(problem, original) : [problem, original];
  const got = await runKernel(subject, asked, data, { through, ...options });
  assertResults(got, referenceResults(asked, data, through), asked);
  return got;
}
