import { causal, full, PolyheadError } from "@polyhead/core";
import { assertClose, compare, EXACT, report } from "../compare.ts";
import type { Law } from "../laws.ts";
import { alibi, learnedTable } from "./axes.ts";
import { lawOf } from "./law.ts";
import { dataOf, type KernelProblem, type Numbers, type ProblemData } from "./problem.ts";
import { assertResults, referenceResults, runKernel, type KernelResults } from "./run.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** Everything at once: shared key heads, a learned table, a bias, padding, sizes that divide nothing. */
const rich: KernelProblem = { batch: 2, heads: 6, kvHeads: 2, queries: 70, keys: 133, size: 40, mask: causal(), score: [alibi, learnedTable], bias: [1, 6], qOffset: 63, starts: [0, 5], lengths: [133, 120] };
const flat = (results: KernelResults): Readonly<Record<string, ArrayLike<number>>> => ({ o: results.o, lse: results.lse, ...Object.fromEntries(Object.entries(results.gradients).map(([name, g]) => [`the gradient of ${name}`, g])) });

/** Laws about memory: what is read, what is written, in which order, and what is left behind. */
export function memoryLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  return [
    lawOf(subject, "two runs give the same bits, forward and backward", [rich], async () => {
      const data = dataOf(rich, 201);
      const [first, second] = [flat(await runKernel(subject, rich, data)), flat(await runKernel(subject, rich, data))];
      for (const [name, want] of Object.entries(first)) assertClose(second[name]!, want, { label: `${name}, run again,`, rule: EXACT });
    }),
    ...(subject.clean === undefined ? [] : [poisoned(subject, subject.clean)]),
    views(subject),
    shared(subject),
    released(subject),
  ];
}

function poisoned<T extends KernelTensor<T>>(subject: KernelUnderTest<T>, clean: NonNullable<KernelUnderTest<T>["clean"]>): Law {
  return lawOf(subject, "memory that nobody wrote changes no bit", [rich], async () => {
    const data = dataOf(rich, 202);
    const [want, got] = [flat(await runKernel(subject, rich, data, { engine: clean })), flat(await runKernel(subject, rich, data))];
    for (const [name, numbers] of Object.entries(want)) {
      const found = compare(got[name]!, numbers, EXACT);
      if (!found.pass) throw new PolyheadError("POISON_READ", `${name} depends on memory that nobody wrote: with a poisoned pool ${report(found, numbers.length)}`, "look for an output the kernel leaves out, or an input it reads past the end of");
    }
  });
}

/** Packs q, k and v as one projection gives them: `[B, T, Hq + 2·Hkv, D]`. */
function pack({ q, k, v }: Pick<ProblemData, "q" | "k" | "v">): Numbers {
  const parts = [q, k, v];
  const [B = 0, , T = 0, D = 0] = q.shape;
  const all = parts.reduce((sum, { shape }) => sum + (shape[1] ?? 0), 0);
  const data = new Float32Array(B * T * all * D);
  let head = 0;
  for (const { data: from, shape } of parts) {
    const H = shape[1] ?? 0;
    for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let t = 0; t < T; t++) data.set(from.subarray(((b * H + h) * T + t) * D, ((b * H + h) * T + t + 1) * D), ((b * T + t) * all + head + h) * D);
    head += H;
  }
  return { data, shape: [B, T, all, D] };
}

function views<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  const problem: KernelProblem = { batch: 2, heads: 4, kvHeads: 2, queries: 37, keys: 37, size: 24, mask: causal(), score: [alibi] };
  return lawOf(subject, "queries, keys and values may be strided views of one buffer, which gets the gradient of all three", [problem], async () => {
    const data = dataOf(problem, 203);
    const heads = [4, 2, 2];
    const got = await runKernel(subject, problem, data, {
      layout: {
        leaves: { qkv: pack(data) },
        cut: ({ qkv }) => {
          const [q, k, v] = heads.map((count, i) => qkv!.narrow(2, heads.slice(0, i).reduce((a, b) => a + b, 0), count).permute([0, 2, 1, 3])) as [T, T, T];
          return { q, k, v };
        },
      },
    });
    const want = referenceResults(problem, data);
    const shaped = (name: "q" | "k" | "v"): Numbers => ({ data: Float32Array.from(want.gradients[name]!), shape: data[name].shape });
    assertResults({ ...got, gradients: { qkv: got.gradients["qkv"]! } }, { ...want, gradients: { qkv: pack({ q: shaped("q"), k: shaped("k"), v: shaped("v") }).data } }, problem);
  });
}

function shared<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  const problem: KernelProblem = { batch: 2, heads: 4, kvHeads: 1, queries: 20, keys: 45, size: 24, valueSize: 16, mask: full() };
  return lawOf(subject, "values may be the first features of the keys, as in latent attention, and gradients add up", [problem], async () => {
    const { size: D, valueSize: Dv = D } = problem;
    const drawn = dataOf(problem, 204);
    const firstOf = (x: ArrayLike<number>, width: number): Float32Array => Float32Array.from({ length: (x.length / D) * width }, (_, i) => x[Math.floor(i / width) * D + (i % width)]!);
    const data = { ...drawn, v: { data: firstOf(drawn.k.data, Dv), shape: drawn.v.shape } };
    const got = await runKernel(subject, problem, data, { layout: { leaves: { q: data.q, k: data.k }, cut: ({ q, k }) => ({ q: q!, k: k!, v: k!.narrow(3, 0, Dv) }) } });
    const want = referenceResults(problem, data);
    const { q, k, v } = want.gradients as { q: Float64Array; k: Float64Array; v: Float64Array };
    const both = k.map((g, i) => g + (i % D < Dv ? v[Math.floor(i / D) * Dv + (i % D)]! : 0));
    assertResults(got, { ...want, gradients: { q, k: both } }, problem);
  });
}

function released<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law {
  return lawOf(subject, "all memory that a forward and a backward pass took is given back", [rich], async () => {
    const { gpu } = subject.engine;
    const data = dataOf(rich, 205);
    // The first run uploads tables, which stay for the next one.
    await runKernel(subject, rich, data);
    const before = gpu.stats.liveBytes;
    await runKernel(subject, rich, data);
    await runKernel(subject, rich, data, { through: "nothing" });
    assertClose([gpu.stats.liveBytes], [before], { label: "bytes in use", rule: EXACT });
  });
}
