import { and, capture, causal, custom, document, maskMod, scoreMod, window, type Mask } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { assertClose, uniform } from "@polyhead/testkit";
import { describe, expect, it } from "vitest";
import { alibi, createBlockMask, documents, flexAttention, prefixLmDocuments, relativeTable, slidingWindow, softcap } from "../src/index.ts";
import { expectReference, tensorsOf, type Case } from "./attention.ts";
import { poisoned } from "./devices.ts";

const engine = await poisoned();
const three = Int32Array.from({ length: 90 }, (_, position) => (position < 33 ? 0 : position < 38 ? 1 : 2));
const table = capture(uniform(2 * 9, 7), [2, 9], { name: "relative", learned: true });
const relative = scoreMod`score + ${table}[h, clamp(kv - q, -4, 4) + 4]`;

/** Masks that leave blocks out, have full ones, and rows without a key. */
const SPARSE: Readonly<Record<string, Mask>> = {
  "a window": slidingWindow(9),
  "documents of each batch row": documents(Int32Array.from({ length: 180 }, (_, n) => Math.floor((n % 90) / (n < 90 ? 20 : 33))), [2, 90]),
  "prefix LM × documents": prefixLmDocuments([33, 5, 52], [10, 5, 3]),
  "rows without a key": custom(maskMod`kv > 40 && q > 20 && q < 37 && q % 2 == 0`),
};

describe("over lists of blocks, forward and backward as float64 attention", () => {
  it.each(Object.entries(SPARSE))("%s", async (_, mask) => {
    await expectReference(engine, { batch: 2, mask });
  });

  it("with query heads that share keys", async () => {
    await expectReference(engine, { heads: 6, kvHeads: 2, mask: and(causal(), documents(three)) });
  });

  it("with offsets of queries and keys", async () => {
    await expectReference(engine, { mask: and(slidingWindow(20), documents(three)), queries: 40, keys: 60, qOffset: 32, kvOffset: 16 });
  });

  it("with softcap, ALiBi and a learned table, whose gradient comes too", async () => {
    const mask = and(causal(), documents(three));
    await expectReference(engine, { mask, scoreMod: softcap(0.7) });
    await expectReference(engine, { mask, scoreMod: alibi(2) });
    await expectReference(engine, { mask, scoreMod: relative }, [table]);
  });
});

describe("score modifiers", () => {
  const problem: Case = { queries: 20, keys: 20 };
  const run = (inputs: Omit<Parameters<typeof flexAttention>[0], "q" | "k" | "v" | "blockMask" | "mask" | "maskMod">): Promise<ArrayLike<number>> => flexAttention({ ...tensorsOf(engine, problem), mask: causal(), ...inputs }).o.read();

  it("act first to last", async () => {
    const [cap, bias] = [softcap(0.5), alibi(2)];
    const inOne = scoreMod`0.5 * tanh(score / 0.5) + ${bias.captures[0]!}[h] * (kv - q)`;
    assertClose(await run({ scoreMod: [cap, bias] }), await run({ scoreMod: inOne }));
    expect(await run({ scoreMod: [bias, cap] })).not.toEqual(await run({ scoreMod: [cap, bias] }));
  });

  it("read a placeholder's numbers from the tensor given", async () => {
    const numbers = engine.tensor(table.data, table.shape);
    expect(await run({ scoreMod: relativeTable({ heads: 2, reach: 4 }), tables: { relative: numbers } })).toEqual(await run({ scoreMod: relative }));
  });

  it("compile nothing for another constant in a capture", async () => {
    const cap = softcap(0.5);
    await run({ scoreMod: cap });
    const { pipelines } = engine.gpu.stats;
    await run({ scoreMod: softcap(0.9) });
    expect(engine.gpu.stats.pipelines).toBe(pipelines);
  });
});

describe("what is run twice", () => {
  it("gives the same bits, gradients and learned tables included", async () => {
    const once = async (): Promise<ArrayLike<number>[]> => {
      const tensors = tensorsOf(engine, { queries: 90, keys: 90 });
      const learned = engine.tensor(table.data, table.shape, { requiresGrad: true });
      const blockMask = createBlockMask(engine, documents(three), { queries: 90, keys: 90, queryBlock: 16, keyBlock: 16 });
      const { o } = flexAttention({ ...tensors, blockMask, scoreMod: relative, tables: { relative: learned } });
      o.backward(tensors.g);
      return Promise.all([o, tensors.q.grad!, tensors.k.grad!, tensors.v.grad!, learned.grad!].map((tensor) => tensor.read()));
    };
    expect(await once()).toEqual(await once());
  });
});

const { q, k, v } = tensorsOf(engine, { heads: 4, kvHeads: 2, queries: 64, keys: 64 });
const packed = createBlockMask(engine, and(causal(), documents(three)), { queries: 64, keys: 64, queryBlock: 32, keyBlock: 16 });
const whole = await flexAttention({ q, k, v, blockMask: packed }).o.read();

describe("decoding with a block mask", () => {
  const blockMask = packed;
  const rows = (qOffset: number, queries: number): Tensor => q.detach().narrow(2, qOffset, queries);
  const part = (qOffset: number, queries: number): number[] => [0, 1, 2, 3].flatMap((h) => [...whole.subarray((h * 64 + qOffset) * 8, (h * 64 + qOffset + queries) * 8)]);

  it.each([[63, 1], [40, 1], [32, 32], [16, 48], [7, 20]])("rows from %i on, %i of them, equal those of the whole", async (qOffset, queries) => {
    const slice = blockMask.slice({ qOffset, queries });
    const got = await flexAttention({ q: rows(qOffset, queries), k, v, blockMask: slice, qOffset }).o.read();
    assertClose(got, part(qOffset, queries), { rule: { kind: "each", absolute: 1e-6, relative: 1e-6 } });
    // The block mask of the whole will do as well: it is cut as needed.
    expect(await flexAttention({ q: rows(qOffset, queries), k, v, blockMask, qOffset }).o.read()).toEqual(got);
  });

  it("keys that are yet to come need not be there", async () => {
    const seen = (x: Tensor): Tensor => x.detach().narrow(2, 0, 41);
    const got = await flexAttention({ q: rows(40, 1), k: seen(k), v: seen(v), blockMask, qOffset: 40 }).o.read();
    assertClose(got, part(40, 1), { rule: { kind: "each", absolute: 1e-6, relative: 1e-6 } });
  });
});

describe("block masks made of themselves", () => {
  const sizes = { heads: 1, queries: 256, keys: 256, size: 4 };
  // A square hides from intervals that this is `q − kv < 100`, so blocks are told apart on the GPU, with a dispatch that shows.
  const squared = (limit: ReturnType<typeof capture>): Mask => custom(maskMod`kv <= q && (q - kv) * (q - kv) < ${limit}[0]`);
  const dispatches = async (mask: Mask): Promise<number> => {
    const inputs = tensorsOf(engine, sizes);
    const before = engine.gpu.stats.dispatches;
    await flexAttention({ ...inputs, mask }).o.read();
    return engine.gpu.stats.dispatches - before;
  };

  it("are kept as long as captures keep their numbers, and made anew after", async () => {
    const limit = capture(Int32Array.of(10_000), [1], { name: "limit" });
    const mask = squared(limit);
    await dispatches(mask);
    const kept = await dispatches(mask);
    limit.set([400]);
    expect(await dispatches(mask)).toBeGreaterThan(kept);
    expect(await dispatches(mask)).toBe(kept);
    const inputs = tensorsOf(engine, sizes);
    assertClose(await flexAttention({ ...inputs, mask }).o.read(), await flexAttention({ ...inputs, mask: window(19) }).o.read());
  });

  it("are not made for ranges of keys: a mask of comparisons costs what causal costs", async () => {
    expect(await dispatches(custom(maskMod`kv <= q && q - kv < 50`))).toBe(await dispatches(causal()));
  });

  it("are left out where heads are too large for kernels that walk lists: the mask alone says the same", async () => {
    const large = { heads: 1, queries: 64, keys: 256, size: 520 };
    const inputs = tensorsOf(engine, large);
    const run = (mask: Mask): Promise<ArrayLike<number>> => engine.noGrad(() => flexAttention({ ...inputs, mask, qOffset: 192 }).o.read());
    assertClose(await run(squared(capture(Int32Array.of(400), [1], { name: "limit" }))), await run(window(19)));
  });

  it("follow captures in a recorded step, whose replays see what was set since", async () => {
    const ids = Int32Array.from({ length: 256 }, (_, n) => n >> 6);
    const mask = document(ids.slice());
    const inputs = tensorsOf(engine, sizes);
    const blockMask = createBlockMask(engine, mask, { queries: 256, keys: 256, queryBlock: 32, keyBlock: 32 });
    const step = engine.noGrad(() => engine.record(() => [flexAttention({ ...inputs, mask }).o, flexAttention({ ...inputs, blockMask }).o]));
    const moved = ids.map((_, n) => (n < 30 ? 0 : n < 170 ? 1 : 2));
    mask.ids.set(moved);
    step.replay();
    const want = await flexAttention({ ...inputs, mask: document(moved) }).o.read();
    for (const o of step.outputs) assertClose(await o.read(), want);
    step.dispose();
  });
});
