import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder, generate, type DecoderModel } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { consecutiveWindows, openCheckpoint, randomWindows, resume, saveCheckpoint, Trainer, warmupCosine, windowsAt, type BatchSource, type TrainerOptions, type TrainRecord } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });

const lab = createLab(mha, rope, rms, tied, reference, decoder);
const tokens = Uint32Array.from({ length: 500 }, (_, i) => (i * i + 3 * i) % 13);

function trainer(replay: boolean | "auto", options: Partial<Omit<TrainerOptions<DecoderModel>, "replay" | "model">> & { readonly dropout?: number } = {}): Trainer<DecoderModel> {
  const { dropout = 0.1, ...more } = options;
  const engine = createEngine(gpu, { seed: 3 });
  const model = lab.model({ layers: 1, width: 16, vocab: 13, context: 8, dropout, attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" }, feedForward: { use: "swiglu" } }, engine);
  return new Trainer({ model, data: randomWindows(tokens, { batch: 2, context: 8, seed: 3 }), schedule: warmupCosine({ peak: 1e-2, warmup: 3, total: 40 }), optimizer: { clip: 0.5 }, replay, ...more });
}

/** What a run says of its numbers: everything but the time that it took. */
async function numbers(records: AsyncIterable<TrainRecord>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const record of records) all.push(record.kind === "step" ? [record.step, record.loss, record.gradNorm, record.rate] : ["evaluation", record.step, record.loss]);
  return all;
}

async function release(...trainers: readonly Trainer[]): Promise<void> {
  await gpu.settled();
  for (const one of trainers) {
    one.dispose();
    one.model.dispose();
  }
}

describe("replayed training equals eager training, bit by bit,", () => {
  for (const [name, options] of [
    ["with dropout and clipping", {}],
    ["with two micro-batches an update", { accumulate: 2 }],
    ["with several updates to a report", { reportEvery: 3 }],
    ["without dropout, without clipping", { dropout: 0, optimizer: {} }],
    ["with evaluations in between", { validation: consecutiveWindows(tokens, 8, 5), evaluateEvery: 2, evaluationRows: 2 }],
  ] as const) {
    it(`${name}: losses, norms, weights and moments`, async () => {
      const [eager, replayed] = [trainer(false, options), trainer("auto", options)];
      const want = await numbers(eager.run(8));
      const before = gpu.stats.replays;
      expect(await numbers(replayed.run(8))).toEqual(want);
      expect(gpu.stats.replays - before).toBe(6);
      expect([eager.replay.replaying, replayed.replay.replaying]).toEqual([false, true]);
      expect(await saveCheckpoint(replayed)).toEqual(await saveCheckpoint(eager));
      await release(eager, replayed);
    });
  }

  it("after resuming from a checkpoint, in a fresh run and in one that has a recording already", async () => {
    const whole = trainer(false);
    const want = await numbers(whole.run(10));
    const first = trainer(true);
    const start = await numbers(first.run(4));
    const saved = openCheckpoint(await saveCheckpoint(first));
    const fresh = trainer(true);
    resume(fresh, saved);
    expect([...start, ...(await numbers(fresh.run(10)))]).toEqual(want);
    await numbers(first.run(7));
    resume(first, saved);
    expect([...start, ...(await numbers(first.run(10)))]).toEqual(want);
    expect(await saveCheckpoint(first)).toEqual(await saveCheckpoint(whole));
    await release(whole, first, fresh);
  });

  it("with generation and another run's updates in between", async () => {
    const [eager, replayed, other] = [trainer(false), trainer("auto"), trainer("auto", { accumulate: 2 })];
    const want = await numbers(eager.run(8));
    const got: unknown[] = [];
    for (let until = 1; until <= 8; until++) {
      got.push(...(await numbers(replayed.run(until))));
      for await (const id of generate(replayed.model, [1, 2, 3], { tokens: 3 })) expect(id).toBeLessThan(13);
      await numbers(other.run(until));
    }
    expect(got).toEqual(want);
    await release(eager, replayed, other);
  });
});

describe("a trainer that replays", () => {
  it("runs batches of another shape as usual, and says so; told to insist, it throws", async () => {
    const data: BatchSource = { batch: (index) => windowsAt(tokens, index === 4 ? [index] : [index, 2 * index], 8) };
    const [eager, auto, strict] = [trainer(false, { data }), trainer("auto", { data }), trainer(true, { data })];
    const want = await numbers(eager.run(7));
    const got = await numbers(auto.run(5));
    expect(auto.replay).toEqual({ replaying: false, reason: expect.stringMatching(/its batches hold 8 tokens; the recorded one holds 16/) as string });
    got.push(...(await numbers(auto.run(7))));
    expect(auto.replay.replaying).toBe(true);
    expect(got).toEqual(want);
    await expect(numbers(strict.run(7))).rejects.toThrow(/TRAIN_REPLAY.*hold 8 tokens.*use replay: 'auto'/s);
    expect(strict.step).toBe(4);
    await release(eager, auto, strict);
  });

  it("takes in a gradient that it finds, as an eager update does", async () => {
    const runs = [trainer(false), trainer("auto")];
    const all = [];
    for (const run of runs) {
      const { model } = run;
      const got = await numbers(run.run(3));
      model.engine.scope(() => { model.loss(model.ids([1, 2, 3, 4]), model.ids([2, 3, 4, 5])).backward(); });
      got.push(...(await numbers(run.run(4))));
      if (run === runs[1]) expect(run.replay.reason).toMatch(/holds a gradient from elsewhere/);
      got.push(...(await numbers(run.run(6))));
      all.push(got);
    }
    expect(all[1]).toEqual(all[0]);
    expect(runs[1]!.replay.replaying).toBe(true);
    await release(...runs);
  });

  it("runs as usual where its model does what cannot be replayed, with the same numbers, and says why", async () => {
    const runs = [trainer(false, { accumulate: 2 }), trainer("auto", { accumulate: 2 }), trainer(true, { accumulate: 2 })];
    for (const { model } of runs) {
      const loss = model.loss.bind(model);
      let calls = 0;
      // Late: by then a gradient is there, and numbers have been drawn.
      model.loss = (ids, targets, options) => model.engine.scope(() => {
        const result = loss(ids, targets, options);
        if (++calls % 2 === 0) model.engine.tensor([1, 2, 3]);
        return result;
      });
    }
    const want = await numbers(runs[0]!.run(5));
    expect(await numbers(runs[1]!.run(5))).toEqual(want);
    expect(runs[1]!.replay).toEqual({ replaying: false, reason: expect.stringMatching(/GPU_REPLAY.*12 bytes of the host's/) as string });
    await expect(numbers(runs[2]!.run(5))).rejects.toThrow(/GPU_REPLAY/);
    await release(...runs);
  });

  it("still refuses ids outside of the vocabulary", async () => {
    const data: BatchSource = { batch: (index) => windowsAt(index === 4 ? Uint32Array.from(tokens, () => 13) : tokens, [index, index + 1], 8) };
    const run = trainer("auto", { data });
    await expect(numbers(run.run(6))).rejects.toThrow(/TENSOR_VALUE.*id 13/s);
    expect(run.step).toBe(4);
    await release(run);
  });

  it("gives all its memory back when it is disposed of", async () => {
    await release(trainer(false)); // tables of the rotation stay with their captures
    const warm = trainer("auto");
    await numbers(warm.run(4));
    await release(warm);
    const before = gpu.stats.liveBytes;
    const run = trainer("auto", { validation: consecutiveWindows(tokens, 8, 2), evaluateEvery: 2 });
    await numbers(run.run(6));
    await release(run);
    expect(gpu.stats.liveBytes - before).toBeLessThanOrEqual(2 * 512);
  });

  it("sends an update at once, and makes neither buffers nor bind groups once it has settled", async () => {
    const run = trainer("auto", { reportEvery: 4 });
    await numbers(run.run(8));
    const before = gpu.stats;
    await numbers(run.run(16));
    const after = gpu.stats;
    expect([after.replays - before.replays, after.submits - before.submits]).toEqual([8, 10]);
    expect([after.buffers - before.buffers, after.bindGroups - before.bindGroups]).toEqual([0, 0]);
    await release(run);
  });
});
