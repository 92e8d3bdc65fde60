import { mha } from "@polyhead/attn-mha";
import { positionsOf, ring, type RingLayout, type RingScheme } from "@polyhead/attn-ring";
import { localCommunicators } from "@polyhead/comm-local";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { arrangeRanks, constantRate, consecutiveWindows, openCheckpoint, randomWindows, saveCheckpoint, Trainer } from "@polyhead/train";
import { afterAll, describe, expect, it } from "vitest";

const gpus = await Promise.all([0, 1, 2, 3].map(() => openNodeGpu({ limits: "default", features: "none", poison: true })));
afterAll(() => { for (const gpu of gpus) gpu.dispose(); });

/** No number of ranks divides it. */
const CONTEXT = 15;
const tokens = Uint32Array.from({ length: 300 }, (_, i) => (i * i + 3 * i) % 13);

interface Case {
  readonly ranks: number;
  readonly sequenceRanks: number;
  readonly layout?: RingLayout;
  readonly scheme?: RingScheme;
  /** Whose places the trainer is told; default the kernel's. */
  readonly told?: RingLayout;
}

interface Trained {
  /** Loss and gradient norm of every update, then the loss of the evaluation. */
  readonly said: readonly number[];
  /** After the first update, by parameter: a tenth of its clipped gradient. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Two updates and an evaluation of a small causal model with rotary positions. */
function train({ ranks: size, sequenceRanks, layout = "zigzag", scheme = "ring", told = layout }: Case): Promise<Trained[]> {
  return Promise.all(localCommunicators(size).map(async (world, rank) => {
    const ranks = await arrangeRanks(world, { sequenceRanks });
    const { sequence } = ranks;
    const kernel = ring({ communicator: sequence, layout, scheme, length: CONTEXT });
    const model = createLab(mha, rope, rms, tied, kernel, decoder).model({
      layers: 2, width: 16, vocab: 13, context: CONTEXT, feedForward: { use: "relu" },
      attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied", std: 0.3 },
    }, createEngine(gpus[rank]!, { seed: 3 }));
    const trainer = new Trainer({
      model,
      data: randomWindows(tokens, { batch: 4, context: CONTEXT, seed: 3 }),
      validation: consecutiveWindows(tokens, CONTEXT, 3),
      schedule: constantRate(1e-2),
      parallel: { ranks, bucketBytes: 4096, checkEvery: 1, positions: (length) => positionsOf(told, sequence.rank, sequence.size, length) },
    });
    const said: number[] = [];
    let gradients: Trained["gradients"] = new Map();
    for await (const record of trainer.run(2)) {
      said.push(record.loss, ...(record.kind === "step" ? [record.gradNorm] : []));
      if (record.kind !== "step" || record.step > 1) continue;
      const { file } = openCheckpoint(await saveCheckpoint(trainer));
      gradients = new Map(file.names.filter((name) => name.startsWith("adamw.first.")).map((name) => [name, file.get(name).floats()]));
    }
    trainer.dispose();
    model.dispose();
    return { said, gradients };
  }));
}

/** The largest difference, relative to the largest magnitude of `want`. */
function difference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  const largest = (at: (i: number) => number): number => Math.max(...Array.from(want, (_, i) => Math.abs(at(i))));
  return got.length === want.length ? largest((i) => got[i]! - want[i]!) / largest((i) => want[i]!) : Infinity;
}

describe("a whole training step on several devices", async () => {
  const [one] = (await train({ ranks: 1, sequenceRanks: 1 })) as [Trained];

  for (const [name, of] of [
    ["2 pieces of each window, zigzag", { ranks: 2, sequenceRanks: 2 }],
    ["2 pieces, contiguous", { ranks: 2, sequenceRanks: 2, layout: "contiguous" }],
    ["2 pieces, heads gathered", { ranks: 2, sequenceRanks: 2, scheme: "heads" }],
    ["4 pieces, zigzag", { ranks: 4, sequenceRanks: 4 }],
    ["2 pieces, striped, and 2 shares of the batch", { ranks: 4, sequenceRanks: 2, layout: "striped" }],
    ["4 shares of the batch", { ranks: 4, sequenceRanks: 1 }],
  ] as [string, Case][]) {
    it(`has the loss and gradients of one: ${name}`, async () => {
      const all = await train(of);
      for (const rank of all.slice(1)) expect(rank).toEqual(all[0]);
      expect(difference(all[0]!.said, one.said)).toBeLessThan(1e-5);
      for (const [parameter, gradient] of one.gradients) expect(difference(all[0]!.gradients.get(parameter)!, gradient), parameter).toBeLessThan(1e-4);
    });
  }

  it("has another loss where ranks hold other tokens than their kernel thinks", async () => {
    const [wrong] = await train({ ranks: 2, sequenceRanks: 2, told: "contiguous" }) as [Trained];
    expect(difference(wrong.said, one.said)).toBeGreaterThan(1e-3);
  });
});
