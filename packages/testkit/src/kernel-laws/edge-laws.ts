import { capture, causal, full, scalar, scoreHook, scoreMod, window } from "@polyhead/core";
import type { Law } from "../laws.ts";
import { uniform } from "../random.ts";
import { alibi, softcap } from "./axes.ts";
import { lawOf } from "./law.ts";
import { numbers, product, sizesOf, type KernelProblem } from "./problem.ts";
import { rotation } from "./rotation.ts";
import { checkProblem } from "./run.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** Whole numbers from −range to range. */
const whole = (size: number, seed: number, range: number): Float32Array => uniform(size, seed).map((x) => Math.round(range * x));

/** Laws about values and sizes at their edges. */
export function edgeLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  const checks = (name: string, problems: readonly KernelProblem[], seed: number): Law => lawOf(subject, name, problems, async () => {
    for (const [n, problem] of problems.entries()) await checkProblem(subject, problem, seed + n);
  });
  const small: KernelProblem = { batch: 2, heads: 4, kvHeads: 2, queries: 35, keys: 70, size: 16, mask: causal(), qOffset: 35 };
  return [
    checks("an empty batch gives empty results", [{ ...small, batch: 0 }], 300),
    checks("one head, odd numbers of heads, few queries: work that no workgroup count divides", [1, 3, 5, 7].map((heads) => ({ batch: heads === 1 ? 1 : 3, heads, queries: heads - 1 || 1, keys: 9 + heads, size: 12, mask: full() })), 310),
    checks("scores up to ±60 keep their precision", [precise(small)], 320),
    checks("scores far beyond what exp can hold choose the largest, and share among equal ones", [huge(small)], 330),
    checks("a bias of minus infinity forbids a key, and a row of them gives zeros", [{ ...forbidding(small), score: [alibi] }], 340),
    checks("a score hook may add minus infinity, as a float mask does", [{ ...small, score: [floatMask(small)] }], 350),
    checks("the gradient of a bias is summed over what it is broadcast to", ([[1, 1], [2, 1], [1, 4]] as const).map((bias) => ({ ...small, bias, score: [softcap] })), 360),
    ...rotationLaws(checks, small),
    ...learnedLaws(checks, small),
    changedScalar(subject, small),
    checks("dot products of f16 rows may pass the range of f16", [{ ...small, dtype: "f16", scale: 1e-5, values: { q: whole(product([2, 4, 35, 16]), 381, 300), k: whole(product([2, 2, 70, 16]), 382, 300) } }], 380),
    ...(["o", "lse"] as const).map((through) => lawOf(subject, `the gradient of ${through} alone reaches all that it depends on`, [{ ...small, bias: [2, 4] }], async () => {
      await checkProblem(subject, { ...small, bias: [2, 4], score: [softcap] }, 390, { through });
    })),
  ];
}

/** Whole scores, exact in f32, so that what is measured is exp and the sums. */
function precise(small: KernelProblem): KernelProblem {
  const { B, Hq, Hkv, Tq, Tk, D } = sizesOf(small);
  return { ...small, scale: 1, values: { q: whole(product([B, Hq, Tq, D]), 321, 2), k: whole(product([B, Hkv, Tk, D]), 322, 4) } };
}

/** Scores that are multiples of 20 up to ±500: only one feature is not 0. */
function huge(small: KernelProblem): KernelProblem {
  const { B, Hq, Hkv, Tq, Tk, D } = sizesOf(small);
  const first = (rows: number, seed: number): Float32Array => {
    const values = whole(rows, seed, 5);
    return Float32Array.from({ length: rows * D }, (_, i) => (i % D === 0 ? values[i / D]! : 0));
  };
  return { ...small, scale: 20, values: { q: first(B * Hq * Tq, 331), k: first(B * Hkv * Tk, 332) } };
}

/** A third of the keys, and every key of each fifth query. */
const forbidden = (seed: number, i: number, Tk: number): boolean => Math.floor(i / Tk) % 5 === 2 || numbersAt(seed, i) < -1 / 3;
const drawn = numbers([4096], 345).data;
const numbersAt = (seed: number, i: number): number => drawn[(i * 7 + seed) % drawn.length]!;

function forbidding(small: KernelProblem): KernelProblem {
  const { Hq, Tq, Tk } = sizesOf(small);
  return { ...small, bias: [1, Hq], values: { bias: Float32Array.from({ length: Hq * Tq * Tk }, (_, i) => (forbidden(1, i, Tk) ? -Infinity : numbersAt(2, i))) } };
}

function floatMask(small: KernelProblem): NonNullable<KernelProblem["score"]>[number] {
  const { Tq, Tk } = sizesOf(small);
  const table = capture(Float32Array.from({ length: Tq * Tk }, (_, i) => (forbidden(3, i, Tk) ? -Infinity : 0)), [Tq, Tk], { name: "float_mask" });
  return scoreHook({ id: "float mask", program: scoreMod`score + ${table}[q - ${small.qOffset ?? 0}, kv]` });
}

/** Pairs of elements as they lie in a head: whole heads and parts, an odd size, hooks and padding beside them. */
function rotationLaws(checks: (name: string, problems: readonly KernelProblem[], seed: number) => Law, small: KernelProblem): Law[] {
  const shifted = { kvOffset: 19, qOffset: 50 };
  return [
    checks("rows of q and k are turned at their global positions: pairs in halves", [{ ...small, ...shifted, qk: [rotation("half", 16)], score: [softcap] }], 400),
    checks("rows of q and k are turned at their global positions: pairs interleaved", [{ ...small, ...shifted, size: 20, qk: [rotation("interleaved", 20)], starts: [0, 4], lengths: [66, 70] }], 401),
    checks("rows of q and k are turned at their global positions: part of an odd head, in f16", [{ ...small, ...shifted, size: 15, valueSize: 9, dtype: "f16", qk: [rotation("half", 6)], score: [alibi] }], 402),
  ];
}

/** Learned tables by what their index depends on, since kernels sum their gradients differently. */
function learnedLaws(checks: (name: string, problems: readonly KernelProblem[], seed: number) => Law, small: KernelProblem): Law[] {
  const { B, Hq, Tq, Tk } = sizesOf(small);
  const from = small.qOffset ?? 0;
  const table = (name: string, shape: readonly number[], seed: number) => capture(numbers(shape, seed, 0.5).data, [...shape], { name, learned: true });
  const gain = capture(Float32Array.from({ length: Hq }, (_, h) => 1 + h / 8), [Hq], { name: "gain", learned: true });
  const [slope, rows, keys, one, wide] = [table("slope", [B, Hq], 371), table("by_query", [Tq], 372), table("by_key", [Hq, Tk], 373), table("one", [], 374), table("by_distance", [2 * Tk], 375)];
  const hooks = {
    "a head, as a factor": scoreHook({ id: "gain", program: scoreMod`score * ${gain}[h]` }),
    "a batch row and a head": scoreHook({ id: "slope", program: scoreMod`score + ${slope}[b, h] * (kv - q)` }),
    "a query": scoreHook({ id: "query", program: scoreMod`score * (1.0 + ${rows}[q - ${from}])` }),
    "a key and a head": scoreHook({ id: "key", program: scoreMod`score + ${keys}[h, kv]` }),
    "nothing": scoreHook({ id: "scalar", program: scoreMod`score + ${one} * (kv - q)` }),
    "a distance": scoreHook({ id: "distance", program: scoreMod`score + ${wide}[q - kv + ${Tk}]` }),
  };
  return [
    ...Object.entries(hooks).map(([by, hook], n) => checks(`a learned table gets its gradient: one indexed by ${by}`, [{ ...small, score: [hook] }], 370 + n)),
    checks("several learned tables get their gradients, through a hook that follows", [{ ...small, mask: window(40, 9), score: [hooks["a key and a head"], hooks["a head, as a factor"], softcap] }], 377),
  ];
}

function changedScalar<T extends KernelTensor<T>>(subject: KernelUnderTest<T>, small: KernelProblem): Law {
  const slope = scalar(0.25);
  const problem = { ...small, score: [scoreHook({ id: "slope", program: scoreMod(({ score, q, kv }) => score.add(kv.sub(q).mul(slope))) })] };
  return lawOf(subject, "a captured scalar is read anew at every run", [problem], async () => {
    for (const value of [0.25, -0.5]) {
      slope.value = value;
      await checkProblem(subject, problem, 379);
    }
  });
}
