import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { checkIds, createEngine, embedding, type Engine } from "../src/index.ts";
import { numbers, relativeError } from "./reference/compare.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

/** dtable[id] = Σ of g over the positions that hold id. */
function scatterReference(ids: readonly number[], g: ArrayLike<number>, vocab: number, width: number): Float64Array {
  const table = new Float64Array(vocab * width);
  ids.forEach((id, position) => {
    if (id < vocab) for (let c = 0; c < width; c++) table[id * width + c]! += g[position * width + c]!;
  });
  return table;
}

const idsFor = (count: number, vocab: number): number[] => Array.from(numbers(count, 11, 0.5), (v) => Math.floor((v + 0.5) ** 3 * vocab) % vocab);

/** The device, if it bound so many bytes at most. */
function binding(most: number): typeof gpu {
  return new Proxy(gpu, {
    get: (gpu, key) => {
      if (key === "caps") return { ...gpu.caps, maxBindingBytes: Math.min(most, gpu.caps.maxBindingBytes) };
      const value: unknown = Reflect.get(gpu, key, gpu);
      return typeof value === "function" ? (value.bind(gpu) as unknown) : value;
    },
  });
}

describe("embedding", () => {
  it.each([[1, 1, 1], [3, 5, 3], [63, 10, 7], [700, 256, 4], [1000, 70_000, 3], [300, 2, 8]])("of %i ids in a vocabulary of %i, width %i, gathers rows and adds their gradients back", async (count, vocab, width) => {
    const ids = idsFor(count, vocab);
    const [data, seed] = [numbers(vocab * width), numbers(count * width, 5)];
    const table = engine.tensor(data, [vocab, width], { requiresGrad: true });
    const y = engine.scope(() => {
      const rows = embedding(table, engine.tensor(ids, [count], { dtype: "u32" }));
      rows.backward(engine.tensor(seed, [count, width]));
      return rows;
    });
    expect(await y.read()).toEqual(Float32Array.from({ length: count * width }, (_, i) => data[ids[Math.floor(i / width)]! * width + (i % width)]!));
    expect(relativeError(await table.grad!.read(), scatterReference(ids, seed, vocab, width))).toBeLessThan(1e-5);
    table.zeroGrad();
  });

  it.each([[301, 4, Infinity], [301, 4, 1024], [151, 3, 768]])("of a table of %i rows of %i halves gives their numbers, where a binding holds %d bytes", async (vocab, width, most) => {
    const on = createEngine(binding(most));
    const ids = idsFor(200, vocab);
    const table = on.tensor(numbers(vocab * width), [vocab, width], { dtype: "f16" });
    const rounded = await table.read();
    const y = await embedding(table, on.tensor(ids, [200], { dtype: "u32" })).read();
    expect(y).toEqual(Float32Array.from({ length: 200 * width }, (_, i) => rounded[ids[Math.floor(i / width)]! * width + (i % width)]!));
  });

  it("adds up in the order of the positions: the same bits on every run", async () => {
    const ids = idsFor(900, 7);
    const run = async (): Promise<unknown> => {
      const table = engine.tensor(numbers(7 * 5), [7, 5], { requiresGrad: true });
      engine.scope(() => { embedding(table, engine.tensor(ids, [900], { dtype: "u32" })).backward(engine.tensor(numbers(900 * 5, 3), [900, 5])); });
      return table.grad!.read();
    };
    expect(await run()).toEqual(await run());
  });

  it("walks a table larger than a binding in parts, forward and backward", async () => {
    // A device that binds 2,048 bytes at most: 128 rows of this table.
    const parts = createEngine(binding(2048));
    const [count, vocab, width] = [200, 301, 4];
    const ids = idsFor(count, vocab);
    const [data, seed] = [numbers(vocab * width), numbers(count * width, 5)];
    const run = async (on: Engine): Promise<{ y: unknown; gradient: ArrayLike<number>; dispatches: number }> => {
      const [table, places, g] = [on.tensor(data, [vocab, width], { requiresGrad: true }), on.tensor(ids, [count], { dtype: "u32" }), on.tensor(seed, [count, width])];
      const before = gpu.stats.dispatches;
      const y = on.scope(() => {
        const rows = embedding(table, places);
        rows.backward(g);
        return rows;
      });
      const { dispatches } = gpu.stats;
      return { y: await y.read(), gradient: await table.grad!.read(), dispatches: dispatches - before };
    };
    const [whole, split] = [await run(engine), await run(parts)];
    expect(split.dispatches - whole.dispatches).toBe(4); // two more parts, forward and backward
    expect(split.y).toEqual(whole.y);
    expect(split.gradient).toEqual(whole.gradient);
    expect(relativeError(split.gradient, scatterReference(ids, seed, vocab, width))).toBeLessThan(1e-5);
  });

  it("keeps the axes of the ids", () => {
    expect(embedding(engine.zeros([4, 3]), engine.zeros([2, 5], "i32")).shape).toEqual([2, 5, 3]);
  });

  it("gives NaN for an id past the table, and no gradient to any row", async () => {
    const table = engine.tensor([1, 2, 3, 4], [2, 2], { requiresGrad: true });
    const y = engine.scope(() => {
      const rows = embedding(table, engine.tensor([1, -1, 2], [3], { dtype: "i32" }));
      rows.backward(engine.full([3, 2], 1));
      return rows;
    });
    expect([...(await y.read())]).toEqual([3, 4, NaN, NaN, NaN, NaN]);
    expect([...(await table.grad!.read())]).toEqual([0, 0, 1, 1]);
  });

  it("can be told of bad ids before they reach the GPU, by position and value", () => {
    expect(() => { checkIds([0, 3, 4], 4); }).toThrow(/TENSOR_VALUE.*id 4 at position 2.*0 to 3/s);
    expect(() => { checkIds([0, -100, 3], 4, -100); }).not.toThrow();
  });
});
