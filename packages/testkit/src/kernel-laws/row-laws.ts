import { and, causal, custom, maskMod, window } from "@polyhead/core";
import { assertClose, EXACT } from "../compare.ts";
import type { Law } from "../laws.ts";
import { alibi, learnedTable, softcap } from "./axes.ts";
import { lawOf } from "./law.ts";
import { dataOf, planningProblem, sizesOf, type KernelProblem, type Numbers, type ProblemData } from "./problem.ts";
import { rotation } from "./rotation.ts";
import { assertResults, checkProblem, referenceResults, runKernel } from "./run.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** Rows `from` to `to` of numbers `[B, H, T, ...]`. */
function rowsOf({ data, shape }: Numbers, from: number, to: number): Numbers {
  const [B = 0, H = 0, T = 0, ...rest] = shape;
  const width = rest.reduce((a, b) => a * b, 1);
  const part = new Float32Array(B * H * (to - from) * width);
  for (let bh = 0; bh < B * H; bh++) part.set(data.subarray((bh * T + from) * width, (bh * T + to) * width), bh * (to - from) * width);
  return { data: part, shape: [B, H, to - from, ...rest] };
}

/** Rows of a result, as `rowsOf`. */
const cut = (data: ArrayLike<number>, shape: readonly number[], from: number, to: number): Float32Array => rowsOf({ data: Float32Array.from(data), shape }, from, to).data;

/** Laws about which rows see which: empty rows, parts of a longer problem, positions. */
export function rowLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  return [emptyRows(subject), decoding(subject), parts(subject), before(subject), live(subject), inUse(subject)];
}

function emptyRows<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  // Queries 1, 4, 7, ... see nobody; the second batch row has no keys.
  const mask = and(window(30, 5), custom(maskMod`q % 3 != 1`));
  const problem: KernelProblem = { batch: 2, heads: 4, kvHeads: 2, queries: 70, keys: 66, size: 16, mask, score: [alibi, softcap], lengths: [66, 0], starts: [3, 0] };
  return lawOf(subject, "a row with no allowed key gives zeros, a log-sum-exp of minus infinity and no gradient", [problem], async () => {
    const { o, lse, gradients } = await checkProblem(subject, problem, 101);
    const { Hq, Tq, Dv } = sizesOf(problem);
    const want = { o: Float32Array.from(o), lse: Float32Array.from(lse), q: Float32Array.from(gradients["q"]!) };
    for (let row = 0; row < lse.length; row++) {
      if (row < Hq * Tq && row % Tq % 3 !== 1) continue;
      want.o.fill(0, row * Dv, (row + 1) * Dv);
      want.q.fill(0, row * Dv, (row + 1) * Dv);
      want.lse[row] = -Infinity;
    }
    assertClose(o, want.o, { label: "o of empty rows", rule: EXACT });
    assertClose(lse, want.lse, { label: "lse of empty rows", rule: EXACT });
    assertClose(gradients["q"]!, want.q, { label: "the gradient of q of empty rows", rule: EXACT });
  });
}

function decoding<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  const keys = 150;
  const whole: KernelProblem = { batch: 2, heads: 8, kvHeads: 2, queries: keys, keys, size: 32, mask: causal(), score: [alibi] };
  const chunk = (queries: number): KernelProblem => ({ ...whole, queries, qOffset: keys - queries });
  return lawOf(subject, "the last rows, asked alone, equal the last rows of the whole: one query, and a few", [whole, chunk(1), chunk(5)], async () => {
    const { B, Hq, Dv } = sizesOf(whole);
    const data = dataOf(whole, 102);
    const all = await runKernel(subject, whole, data, { through: "nothing" });
    for (const queries of [1, 5]) {
      const last = (x: Numbers): Numbers => rowsOf(x, keys - queries, keys);
      const got = await runKernel(subject, chunk(queries), { ...data, q: last(data.q), dO: last(data.dO), dLse: last(data.dLse) }, { through: "nothing" });
      assertClose(got.o, cut(all.o, [B, Hq, keys, Dv], keys - queries, keys), { label: `o of the last ${queries}` });
      assertClose(got.lse, cut(all.lse, [B, Hq, keys], keys - queries, keys), { label: `lse of the last ${queries}` });
    }
  });
}

function parts<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  // Queries 64 to 110 see keys 40 to 110 at most, so the other keys may be left out.
  const [from, to, first] = [64, 110, 40];
  const whole: KernelProblem = { heads: 4, kvHeads: 2, queries: 128, keys: 128, size: 32, mask: window(24), score: [learnedTable, alibi], qk: [rotation("half", 32)] };
  const part: KernelProblem = { ...whole, queries: to - from, keys: to - first, qOffset: from, kvOffset: first };
  const applies = subject.inlineQk === true || subject.kernel.lower(whole.qk![0]!, planningProblem(whole)) === "inline";
  const [long, short] = applies ? [whole, part] : [{ ...whole, qk: [] }, { ...part, qk: [] }];
  return lawOf(subject, "hooks and masks see global positions: a part of a problem, at its offsets, equals that part of the whole", [long, short], async () => {
    const { B, Hq, Dv } = sizesOf(long);
    const data = dataOf(long, 103);
    const [queries, keys] = [(x: Numbers) => rowsOf(x, from, to), (x: Numbers) => rowsOf(x, first, to)];
    const cutData: ProblemData = { q: queries(data.q), k: keys(data.k), v: keys(data.v), dO: queries(data.dO), dLse: queries(data.dLse) };
    const all = await runKernel(subject, long, data, { through: "nothing" });
    const got = await runKernel(subject, short, cutData);
    assertClose(got.o, cut(all.o, [B, Hq, long.queries, Dv], from, to), { label: "o" });
    assertClose(got.lse, cut(all.lse, [B, Hq, long.queries], from, to), { label: "lse" });
    assertResults(got, referenceResults(short, cutData), short);
  });
}

function before<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  const problem: KernelProblem = { batch: 2, heads: 4, kvHeads: 2, queries: 90, keys: 50, size: 16, mask: causal(), score: [alibi], qOffset: -40 };
  const problems = [problem, { ...problem, mask: and(causal(), window(9)), bias: [1, 4] as const }];
  return lawOf(subject, "queries may stand before every key and before position 0: more queries than keys, aligned at their ends", problems, async () => {
    for (const [n, one] of problems.entries()) await checkProblem(subject, one, 106 + n);
  });
}

function live<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  const problem: KernelProblem = { heads: 2, queries: 9, keys: 80, size: 16, mask: causal(), score: [alibi], qOffset: 60, kvOffset: 3, inUse: 71 };
  return lawOf(subject, "offsets and the number of keys may be live numbers", [problem], async () => {
    const data = dataOf(problem, 104);
    const plain = await runKernel(subject, problem, data);
    const got = await runKernel(subject, problem, data, { adjust: (inputs) => ({ ...inputs, qOffset: { value: 60 }, kvOffset: { value: 3 }, keys: { value: 71 } }) });
    assertResults(got, referenceResults(problem, data), problem);
    for (const name of ["o", "lse"] as const) assertClose(got[name], plain[name], { label: name, rule: EXACT });
  });
}

function inUse<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  const problem = (count: number): KernelProblem => ({ batch: 2, heads: 4, kvHeads: 1, queries: 3, keys: 140, size: 24, mask: causal(), qOffset: Math.max(0, count - 3), inUse: count });
  const counts = [0, 1, 64, 139, 140];
  return lawOf(subject, "keys from the number in use on are not looked at, whatever they hold: none, one, some, all in use", counts.map(problem), async () => {
    for (const count of counts) await checkProblem(subject, problem(count), 110 + count);
  });
}
