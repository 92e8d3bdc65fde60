import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import { createEngine, fromHalf, toHalf } from "@polyhead/tensor";
import { openNodeGpu } from "@polyhead/gpu-node";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeError, outputOf } from "../cases/decode.ts";
import { greedyIds } from "../cases/decode-ids.ts";
import { decodeProblem, normEpsilon, PROMPT } from "../cases/decode-problem.ts";
import { decoderReference } from "../cases/decode-reference.ts";
import { weightFor } from "../ours/gpt-weights.ts";
import { onnxSession, onnxText } from "../peers/onnx-gpt.ts";
import { onnxInstalled } from "../peers/onnxruntime.ts";

const problem = decodeProblem({ layers: 2, width: 16, heads: 2, context: 40, vocab: 61 });
const walk = decoderReference(problem);
/** What follows the prompt, and the logits of its last row. */
const text: number[] = [];
let logits: Float64Array = new Float64Array(0);
beforeAll(() => {
  for (const id of problem.prompt) {
    const step = walk(id);
    logits = step.logits;
    text[0] = step.id;
  }
  while (text.length < 6) text.push(walk(text.at(-1)!).id);
});

describe("the decoder of the bench", () => {
  it("has weights that f16 holds as they are", () => {
    for (const { data } of Object.values(problem.weights)) expect(data.map((value) => fromHalf(toHalf(value)))).toEqual(data);
  });

  it("has a recorded text as long as its longest case", () => {
    expect(PROMPT + greedyIds.length).toBeGreaterThan(144 + 8);
  });

  it("is the model that we compose from plugins", async () => {
    const gpu = await openNodeGpu({ limits: "default", features: "none" });
    const { layers, width, heads, context, vocab } = problem.shape;
    const model = createLab(decoder, mha, reference, learned, layer, tied).model(
      {
        layers, width, vocab, context,
        attention: { use: "mha", heads },
        position: { use: "learned" },
        norm: { use: "layer", place: "pre", epsilon: normEpsilon },
        embedding: { use: "tied" },
        feedForward: { use: "gelu-tanh" },
      },
      createEngine(gpu),
      { empty: true },
    );
    for (const { name, tensor } of model.parameters.all) model.engine.upload(tensor, weightFor(name, problem));
    const last = (await model.prefill(model.ids(problem.prompt), { cache: model.createCache({ batch: 1 }) }).read()) as Float32Array;
    gpu.dispose();
    expect(decodeError(outputOf([], last), [], [...outputOf([], logits)])).toBeLessThan(1e-5);
  });

  it.skipIf(!onnxInstalled())("is onnxruntime's graph: the prompt's logits, and every id after it (skipped where onnxruntime is not installed)", async () => {
    const session = await onnxSession(problem);
    const fed = onnxText(session, PROMPT + 6);
    const last = await fed.logits(problem.prompt);
    const ids: number[] = [];
    for (const id of text.slice(0, -1)) ids.push(await fed.next([id]));
    expect(decodeError(outputOf(ids, last), text.slice(1), [...outputOf([], logits)])).toBeLessThan(1e-5);
    fed.truncate(PROMPT);
    expect(await fed.next([text[0]!])).toBe(text[1]);
    await session.session.release();
  });
});

describe("the error of a decoder", () => {
  const row = [1, -2, ...Array.from({ length: 14 }, () => 0.5)];
  it("is 1 for another id, whatever the logits say", () => {
    expect(decodeError(outputOf([3, 4], row), [3, 5], row)).toBe(1);
  });
  it("is that of its worst logit, relative to the largest", () => {
    expect(decodeError(outputOf([3], row.map((value, i) => (i === 2 ? value + 0.25 : value))), [3], row)).toBe(0.125);
  });
  it("is NaN where a logit is", () => {
    expect(decodeError(outputOf([3], row.map((value, i) => (i === 2 ? NaN : value))), [3], row)).toBeNaN();
  });
});
