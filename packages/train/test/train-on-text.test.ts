import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { openNodeGpu } from "@polyhead/gpu-node";
import { completeText, decoder, describeText } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { afterAll, expect, it } from "vitest";
import { trainOnText, type TextTrainingOptions, type TrainRecord } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });
const lab = createLab(mha, rope, rms, tied, reference, decoder);
const text = "row row row your boat, gently down the stream. ".repeat(20);
const build: TextTrainingOptions["build"] = (vocab) => lab.model({
  layers: 1, width: 32, vocab, context: 16,
  attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied", std: 0.1 }, feedForward: { use: "relu" },
}, createEngine(gpu, { seed: 1 }));

it("a text that repeats itself is learned better than by a bigram model, and the model goes on with it", async () => {
  const records: TrainRecord[] = [];
  const { model, tokenizer, loss, bigram } = await trainOnText(text, { build, steps: 40, rate: 1e-2, batch: 4, onRecord: (record) => { records.push(record); } });
  expect(loss).toBeLessThan(bigram);
  expect(records.filter(({ kind }) => kind === "step").map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));

  const pieces: string[] = [];
  const written = await completeText(model, tokenizer, "gently down", { tokens: 4, temperature: 0, onText: (piece) => { pieces.push(piece); } });
  expect(written.text).toHaveLength(4);
  expect(pieces.join("")).toBe(written.text);
  // 11 + 4 rows of keys and values, 32 features each.
  expect(describeText(model, written)).toMatch(/^prompt +11 tokens in [\d.]+ s \([\d,.]+ tokens\/s\)\ndecode +4 tokens .*\ncache +3,840 bytes\nended +by length$/);
  model.dispose();
});

it("a signal ends the training after the update at hand", async () => {
  const stop = new AbortController();
  const steps: number[] = [];
  const { model, loss } = await trainOnText(text, { build, steps: 50, reportEvery: 1, signal: stop.signal, onRecord: ({ step }) => { steps.push(step); stop.abort(); } });
  expect(steps).toEqual([1]);
  expect(loss).toBeNaN();
  model.dispose();
});
