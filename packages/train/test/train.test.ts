import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { bigramLoss, CharVocabulary, consecutiveWindows, loadWeights, openCheckpoint, randomWindows, resume, saveCheckpoint, splitTokens, Trainer, warmupCosine, type StepRecord, type TrainRecord } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });

const lab = createLab(mha, rope, rms, tied, reference, decoder);
const text = "the quick brown fox jumps over the lazy dog. ".repeat(40);
const vocabulary = CharVocabulary.of(text);
const { train, validation } = splitTokens(vocabulary.encode(text));

function trainer(options: { readonly dropout?: number; readonly accumulate?: number; readonly batch?: number; readonly rate?: number } = {}): Trainer {
  const { dropout = 0, accumulate = 1, batch = 4, rate = 1e-2 } = options;
  const engine = createEngine(gpu, { seed: 3 });
  const model = lab.model({ layers: 1, width: 16, vocab: vocabulary.size, context: 8, dropout, attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" }, feedForward: { use: "swiglu" } }, engine);
  return new Trainer({ model, data: randomWindows(train, { batch, context: 8, seed: 3 }), validation: consecutiveWindows(validation, 8, 8), schedule: warmupCosine({ peak: rate, warmup: 3, total: 40 }), optimizer: { clip: 1 }, accumulate, reportEvery: 4 });
}

async function collect(records: AsyncIterable<TrainRecord>): Promise<TrainRecord[]> {
  const all: TrainRecord[] = [];
  for await (const record of records) all.push(record);
  return all;
}
const steps = (records: readonly TrainRecord[]): StepRecord[] => records.filter((r): r is StepRecord => r.kind === "step");

describe("the training loop", () => {
  it("learns: the loss falls below that of its start, and every update is reported once", async () => {
    const run = trainer();
    const records = await collect(run.run(30));
    expect(steps(records).map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(steps(records).at(-1)!.loss).toBeLessThan(steps(records)[0]!.loss - 0.3);
    expect(records.at(-1)).toMatchObject({ kind: "evaluation", step: 30 });
  });

  it("resumed from a checkpoint equals never having stopped, bit by bit, dropout included", async () => {
    const whole = trainer({ dropout: 0.1 });
    const want = steps(await collect(whole.run(9))).map(({ loss, gradNorm }) => [loss, gradNorm]);
    const first = trainer({ dropout: 0.1 });
    const before = steps(await collect(first.run(5))).map(({ loss, gradNorm }) => [loss, gradNorm]);
    const second = trainer({ dropout: 0.1 });
    resume(second, openCheckpoint(await saveCheckpoint(first)));
    expect(second.step).toBe(5);
    const after = steps(await collect(second.run(9))).map(({ loss, gradNorm }) => [loss, gradNorm]);
    expect([...before, ...after]).toEqual(want);
    expect(await saveCheckpoint(second)).toEqual(await saveCheckpoint(whole));
  });

  it("sums micro-batches to the gradient of the large batch", async () => {
    const [parts, whole] = [trainer({ accumulate: 2, batch: 2 }), trainer({ batch: 4 })];
    const source = randomWindows(train, { batch: 2, context: 8, seed: 3 });
    const joined = [0, 1].map((i) => source.batch(i));
    const pick = (key: "inputs" | "targets"): Uint32Array => Uint32Array.from(joined.flatMap((b) => [...b[key]]));
    const { model } = whole;
    model.engine.scope(() => { model.loss(model.ids(pick("inputs"), 4), model.ids(pick("targets"), 4)).backward(); });
    const { gradNorm } = steps(await collect(parts.run(1)))[0]!;
    let square = 0;
    for (const { tensor } of model.parameters.trainable) square += [...(await tensor.grad!.read())].reduce((sum, g) => sum + g * g, 0);
    expect(gradNorm).toBeCloseTo(Math.sqrt(square), 4);
  });

  it("allocates nothing once it has settled", async () => {
    const run = trainer();
    await collect(run.run(12));
    const before = gpu.stats;
    await collect(run.run(20));
    expect({ buffers: gpu.stats.buffers, bindGroups: gpu.stats.bindGroups }).toEqual({ buffers: before.buffers, bindGroups: before.bindGroups });
    // Tables of models that earlier tests have dropped may be collected meanwhile.
    expect(gpu.stats.liveBytes).toBeLessThanOrEqual(before.liveBytes);
  });

  it("ends after the update at hand when it is told to stop", async () => {
    const stop = new AbortController();
    const run = trainer();
    const seen: number[] = [];
    for await (const { step } of run.run(1000, stop.signal)) {
      seen.push(step);
      stop.abort();
    }
    expect(run.step).toBe(seen.at(-1));
    expect(run.step).toBeLessThan(9);
  });

  it("stops with a name for it when the loss is no longer a number", async () => {
    const run = trainer();
    const [first] = run.model.parameters.all;
    run.model.engine.upload(first!.tensor, new Float32Array(first!.tensor.size).fill(NaN));
    await expect(collect(run.run(3))).rejects.toThrow(/TRAIN_DIVERGED.*step 1 is NaN/s);
  });
});

describe("a checkpoint", () => {
  it("that is cut short, or is none, is told apart and changes nothing", async () => {
    const run = trainer();
    const bytes = await saveCheckpoint(run, { note: "x" });
    const before = await run.model.parameters.all[0]!.tensor.read();
    expect(openCheckpoint(bytes).info).toMatchObject({ step: 0, extra: { note: "x" } });
    expect(() => openCheckpoint(bytes.subarray(0, bytes.length - 5), "run/checkpoint")).toThrow(/SAFETENSORS_TRUNCATED.*run\/checkpoint/s);
    expect(() => openCheckpoint(bytes.subarray(0, 4))).toThrow(/SAFETENSORS_TRUNCATED/);
    const other = lab.model({ layers: 1, width: 8, vocab: vocabulary.size, context: 8, attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" } }, createEngine(gpu));
    expect(() => { loadWeights(other, openCheckpoint(bytes)); }).toThrow(/CHECKPOINT_MISMATCH/);
    expect(await run.model.parameters.all[0]!.tensor.read()).toEqual(before);
  });
});

describe("text", () => {
  it("survives encoding and decoding, and names a character it does not know", () => {
    expect(vocabulary.decode(vocabulary.encode("lazy fox"))).toBe("lazy fox");
    expect(() => vocabulary.encode("laZy")).toThrow(/TEXT_UNKNOWN_CHARACTER.*"Z" \(U\+005A\) at place 2.*write "z"/s);
  });

  it("has a bigram bar that equals counting by hand", () => {
    const [a, b] = [Uint32Array.of(0, 1, 0, 1, 1), Uint32Array.of(0, 1, 1)];
    // After 0 came 1 twice; after 1 came 0 once and 1 once; one is added to each of the four counts.
    expect(bigramLoss(a, b, 2)).toBeCloseTo(-(Math.log(3 / 4) + Math.log(2 / 4)) / 2, 12);
  });

  it("too short for a window is refused with both lengths", () => {
    expect(() => randomWindows(Uint32Array.of(1, 2, 3), { batch: 1, context: 3, seed: 0 })).toThrow(/DATA_TOO_SHORT.*3 tokens.*need 4/s);
  });

  it("gives the same batch for the same number, whatever came before", () => {
    const source = randomWindows(train, { batch: 3, context: 5, seed: 9 });
    const late = source.batch(7);
    expect(randomWindows(train, { batch: 3, context: 5, seed: 9 }).batch(7)).toEqual(late);
    expect(late.targets[0]).toBe(late.inputs[1]);
  });
});

it("a warm-up and cosine schedule rises in a line, peaks, and ends at its floor", () => {
  const rate = warmupCosine({ peak: 1, warmup: 4, total: 10 });
  expect([0, 1, 2, 3].map(rate)).toEqual([0.2, 0.4, 0.6, 0.8]);
  expect(rate(4)).toBe(1);
  expect(rate(7)).toBeCloseTo(0.55, 12);
  expect([10, 99].map(rate)).toEqual([0.1, 0.1]);
});
