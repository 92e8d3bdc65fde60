import { afterAll, describe, expect, it } from "vitest";
import { localCommunicators } from "@polyhead/comm-local";
import { causal, isPolyheadError, type KernelInputs, type LoweredProblem } from "@polyhead/core";
import { type Engine, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { ring, ringReference, ringReferenceGradients, type RingEvent, type RingOptions } from "../src/index.ts";
import { greatestError, World } from "./world.ts";

const world = new World();
const apart = new World({ apart: true });
afterAll(() => {
  world.dispose();
  apart.dispose();
});

const problem = { heads: 2, kvHeads: 1, d: 8, length: 21, mask: causal() };

/** This rank's rows of a causal problem with random numbers, without gradients. */
function inputsOn(engine: Engine, rows: number, more: Partial<KernelInputs<Tensor>> = {}): KernelInputs<Tensor> {
  const x = (seed: number): Tensor => engine.tensor(uniform(2 * rows * 8, seed), [1, 2, rows, 8]);
  return { q: x(1), k: x(2), v: x(3), mask: causal(), scale: 0.3, qOffset: 0, kvOffset: 0, qk: [], score: [], dropout: 0, ...more };
}

describe("a ring", () => {
  it("finds the same on devices of their own as on one", async () => {
    const got = await apart.together(problem, 2, { layout: "zigzag" });
    expect(greatestError(got, await apart.alone(problem))).toBeLessThanOrEqual(1e-5);
  });

  it("tells an observer when it computed, sent, uploaded and read", async () => {
    const events: RingEvent[] = [];
    await world.together(problem, 2, { layout: "contiguous", observe: (event) => { events.push(event); } });
    const kinds = new Set(events.map(({ phase, kind }) => `${phase} ${kind}`));
    expect([...kinds].sort()).toEqual(["backward compute", "backward read", "backward transfer", "backward upload", "forward compute", "forward read", "forward transfer", "forward upload"]);
    expect(events.every(({ start, end }) => end >= start)).toBe(true);
  });

  it("refuses rows that are not those of the layout", async () => {
    const [engine] = await world.engines(1);
    const [communicator] = localCommunicators(2);
    const kernel = ring({ communicator: communicator!, length: 9, layout: "contiguous" });
    expect(() => kernel.run(inputsOn(engine!, 7))).toThrow("rank 0 of 2 was given 7 queries and 7 keys; layout 'contiguous' of 9 and 9 gives it 4 and 4");
    expect(() => ring({ communicator: communicator!, length: 1 }).run(inputsOn(engine!, 1))).toThrow("RING_LENGTH");
    expect(() => kernel.run(inputsOn(engine!, 4, { bias: engine!.zeros([1, 1, 4, 4]) }))).toThrow("ATTN_BIAS");
    expect(() => kernel.run(inputsOn(engine!, 4, { keys: 3 }))).toThrow("ATTN_CACHE_KIND");
    expect(() => ring({ communicator: communicator!, layout: "spiral" as never })).toThrow("RING_LAYOUT");
  });

  it("says beforehand what it cannot", () => {
    const [communicator] = localCommunicators(4);
    const lowered: LoweredProblem = { heads: 4, kvHeads: 2, headDimQK: 8, headDimV: 8, dtype: "f32", mask: causal(), qk: [], score: [], backward: true, cache: "dense", dropout: true, padded: false, how: {} };
    const refusals = (options: Partial<RingOptions>): string[] => ring({ communicator: communicator!, ...options }).unsupported(lowered, world as never);
    expect(refusals({})).toEqual([expect.stringContaining("dropout"), expect.stringContaining("earlier calls")]);
    expect(refusals({ scheme: "heads" }).at(-1)).toBe("2 key heads cannot be shared out among 4 ranks; scheme 'ring' can");
  });

  it("throws the communicator's error to whoever reads, on every rank, and the device goes on", async () => {
    const engines = await world.engines(2);
    const comms = localCommunicators(2, { timeoutMs: 200 });
    // Rank 1 never calls.
    const { o } = ring({ communicator: comms[0]!, length: 8 }).run(inputsOn(engines[0]!, 4));
    const error: unknown = await o.read().then(() => undefined, (reason: unknown) => reason);
    expect(isPolyheadError(error, "COMM_TIMEOUT")).toBe(true);
    expect(String(error)).toContain("rank 1");
    const late = ring({ communicator: comms[1]!, length: 8 }).run(inputsOn(engines[1]!, 4));
    await expect(late.o.read()).rejects.toThrow("COMM_ABORTED");
    expect([...(await engines[0]!.tensor([1, 2]).read())]).toEqual([1, 2]);
  });
});

describe("the reference", () => {
  it("finds one rank's attention on any number of ranks, in all layouts", () => {
    const [T, d, dv] = [13, 4, 3];
    const numbers = (n: number, seed: number): Float64Array => Float64Array.from(uniform(n, seed));
    const whole = { q: numbers(T * d, 1), k: numbers(T * d, 2), v: numbers(T * dv, 3), d, dv, scale: 0.5, allows: (q: number, kv: number) => kv <= q && q % 5 !== 3 };
    const g = numbers(T * dv, 4);
    const one = { ...whole, layout: "contiguous", ranks: 1 } as const;
    const want = ringReference(one);
    const gradients = ringReferenceGradients(one, want, g);
    for (const layout of ["contiguous", "zigzag", "striped"] as const) {
      for (const ranks of [2, 3, 5]) {
        const problem = { ...whole, layout, ranks };
        const got = ringReference(problem);
        const back = ringReferenceGradients(problem, got, g);
        for (const [a, b] of [[got.o, want.o], [got.lse, want.lse], [back.dq, gradients.dq], [back.dk, gradients.dk], [back.dv, gradients.dv]] as const) {
          a.forEach((x, i) => { if (x !== b[i]) expect(Math.abs(x - b[i]!)).toBeLessThan(1e-13); });
        }
      }
    }
  });
});
