import { localCommunicators } from "@polyhead/comm-local";
import type { Communicator } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, link, mul, sum, type Engine, type Tensor } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { planBuckets } from "../src/parallel/buckets.ts";
import { GradientExchange } from "../src/parallel/gradient-exchange.ts";

const gpus = await Promise.all([0, 1].map(() => openNodeGpu({ limits: "default", features: "none", poison: true })));
afterAll(() => { for (const gpu of gpus) gpu.dispose(); });

describe("buckets", () => {
  it("go from the last parameter to the first, are as full as they may be, and start parts where a binding may", () => {
    expect(planBuckets([64, 100, 3, 2], 4 * 256)).toEqual([
      { parts: [{ parameter: 3, start: 0 }, { parameter: 2, start: 64 }, { parameter: 1, start: 128 }], length: 228 },
      { parts: [{ parameter: 0, start: 0 }], length: 64 },
    ]);
  });

  it("hold a parameter that is larger than a bucket alone, and every parameter once", () => {
    const buckets = planBuckets([10, 5000, 20], 400);
    expect(buckets.map(({ parts }) => parts.map(({ parameter }) => parameter))).toEqual([[2], [1], [0]]);
    expect(planBuckets([], 400)).toEqual([]);
  });
});

interface Rank {
  readonly engine: Engine;
  readonly exchange: GradientExchange;
  readonly leaves: readonly Tensor[];
  /** Resolves when the first sum has been asked for. */
  readonly asked: Promise<void>;
}

/** Two ranks with three leaves of two elements, a bucket each. */
function ranks(): Rank[] {
  return localCommunicators(2).map((communicator, rank) => {
    const engine = createEngine(gpus[rank]!);
    let ask!: () => void;
    const asked = new Promise<void>((resolve) => { ask = resolve; });
    const heard: Communicator = Object.assign(Object.create(communicator) as Communicator, {
      allReduce: (...args: Parameters<Communicator["allReduce"]>) => {
        ask();
        return communicator.allReduce(...args);
      },
    });
    const leaves = [1, 2, 3].map((value) => engine.tensor([value, value + rank], [2], { requiresGrad: true }));
    return { engine, leaves, asked, exchange: new GradientExchange({ engine, communicator: heard, parameters: leaves, bucketBytes: 8 }) };
  });
}

const read = async (x: Tensor | undefined): Promise<number[]> => [...(await x!.read())];

describe("gradients of several ranks", () => {
  it("are summed, where one rank has none too, and what travels with them is as well", async () => {
    const results = ranks().map(async ({ engine, exchange, leaves }, rank) => {
      const [a, b, c] = leaves as [Tensor, Tensor, Tensor];
      const extra = engine.tensor([10 + rank, 5]);
      engine.scope(() => {
        exchange.begin();
        // Rank 1 does not use c.
        const product = rank === 0 ? mul(mul(a, b), c) : mul(a, b);
        sum(product).backward(undefined, { onGradient: exchange.ready });
        exchange.finish([extra]);
      });
      return Promise.all([a.grad, b.grad, c.grad, extra].map(read));
    });
    const [first, second] = await Promise.all(results);
    // Rank 0: a = b/2 = c/3 = 1. Rank 1: a = [1, 2], b = [2, 3].
    expect(first).toEqual([[6 + 2, 6 + 3], [3 + 1, 3 + 2], [2, 2], [21, 10]]);
    expect(second).toEqual(first);
  });

  it("leave for the others while the backward pass still runs", async () => {
    const results = ranks().map(async ({ engine, exchange, leaves, asked }) => {
      const [a, , c] = leaves as [Tensor, Tensor, Tensor];
      const late = new Promise<never>((_, reject) => { setTimeout(() => { reject(new Error("no sum was asked for before the pass had ended")); }, 5000).unref(); });
      late.catch(() => undefined);
      /** Its gradient waits until the host has heard of a sum. */
      const gate = (x: Tensor): Tensor => link(x.detach(), {
        inputs: [x],
        backward: (g) => {
          engine.gpu.hostStep(() => Promise.race([asked, late]));
          return [mul(g, g)];
        },
      });
      engine.scope(() => {
        exchange.begin();
        sum(mul(gate(mul(a, a)), c)).backward(undefined, { onGradient: exchange.ready });
        exchange.finish([]);
      });
      return read(a.grad);
    });
    // d/da c·gate(a²) = c² · 2a: rank 0 has c = 3, a = 1, rank 1 c = [3, 4], a = [1, 2].
    expect(await Promise.all(results)).toEqual([[36, 18 + 64], [36, 18 + 64]]);
  });

  it("take no new memory once they have settled", async () => {
    const members = ranks();
    const update = async ({ engine, exchange, leaves }: Rank): Promise<void> => {
      engine.scope(() => {
        exchange.begin();
        sum(mul(leaves[0]!, leaves[1]!)).backward(undefined, { onGradient: exchange.ready });
        exchange.finish([]);
      });
      await leaves[0]!.grad!.read();
      for (const leaf of leaves) leaf.zeroGrad();
    };
    const round = async (): Promise<void> => { await Promise.all(members.map(update)); };
    await round();
    const stats = (): unknown => gpus.map((gpu) => [gpu.stats.liveBytes, gpu.stats.buffers]);
    await round();
    const before = stats();
    await round();
    expect(stats()).toEqual(before);
  });
});
