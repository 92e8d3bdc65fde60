import { flash } from "@polyhead/attn-flash";
import { tuneFlash } from "@polyhead/attn-flash/kernel";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder, DecodeStep, type DecoderModel } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import { argmax, createEngine, tuneMatmul } from "@polyhead/tensor";
import { outputOf, type DecodeRun } from "../cases/decode.ts";
import { normEpsilon, type DecodeProblem } from "../cases/decode-problem.ts";
import type { Contender } from "../contender.ts";
import { sharing } from "../sharing.ts";
import { weightFor } from "./gpt-weights.ts";
import { ourGpu } from "./gpu.ts";
import { tokenMeter } from "./token-meter.ts";

const lab = createLab(decoder, mha, flash, reference, learned, layer, tied);

type WeightType = "f32" | "f16";

/** Tokens whose ids may still be on their way to the host while the next step is sent, as `generate` has it. */
const AHEAD = 2;

export interface OurDecoderOptions {
  readonly dtype: WeightType;
  readonly replay: boolean;
}

/** A decoder composed from plugins, a token at a time as `generate` does it, without its text. */
export const ourDecoder = ({ dtype, replay }: OurDecoderOptions): Contender<DecodeRun> => ({
  name: ["polyhead", dtype, ...(replay ? [] : ["without replay"])].join(" "),
  role: "ours",
  async setup({ decoder: problem, past, first, tokens }) {
    const gpu = await ourGpu();
    const { value: model, release } = await models.take(dtype, () => build(problem, dtype));
    const { engine } = model;
    const cache = model.createCache({ batch: 1, kind: "static", capacity: past.length + tokens });
    const logits = engine.noGrad(() => model.prefill(model.ids(past), { cache }));
    const read = (await logits.read()) as Float32Array;
    logits.dispose();
    const rewind = (): void => { for (const rows of cache) rows.truncate(past.length); };
    const stepper = (): DecodeStep => new DecodeStep(model, { cache, replay, choose: (row) => argmax(row) });
    // One step shows the tuner which products there are.
    const trial = stepper();
    trial.next(0);
    await trial.ids.read();
    trial.dispose();
    await tuneMatmul(engine, undefined, { budgetMs: 60_000 });
    await tuneFlash(engine, undefined, { budgetMs: 60_000 });
    const step = stepper();
    const meter = tokenMeter(gpu);
    const bytes = cache.reduce((sum, rows) => sum + rows.bytes, 0);
    return {
      async run() {
        rewind();
        engine.upload(step.ids, Uint32Array.of(first));
        const ids: number[] = [];
        const coming: Promise<number>[] = [];
        for (let i = 0; i < tokens; i++) {
          meter.token(() => {
            step.next(i);
            coming.push(step.ids.item());
          });
          while (coming.length > (i + 1 < tokens ? AHEAD : 0)) ids.push(await coming.shift()!);
        }
        return outputOf(ids, read);
      },
      decoding: () => ({ ...meter.figures(), bytes }),
      facts: () => ({ replayed: step.obstacle === undefined ? "yes" : `no: ${step.obstacle}`, ...meter.facts() }),
      close() {
        step.dispose();
        for (const rows of cache) rows.dispose();
        release();
      },
    };
  },
});

/** One model of each kind of weights, whoever runs it. */
const models = sharing<WeightType, DecoderModel>((model) => { model.dispose(); });

function build(problem: DecodeProblem, dtype: WeightType): Promise<DecoderModel> {
  return ourGpu().then((gpu) => {
    if (dtype === "f16" && !gpu.caps.f16) throw new Error("this adapter has no shader-f16");
    const { layers, width, heads, context, vocab } = problem.shape;
    const engine = createEngine(gpu);
    const model = lab.model(
      {
        layers, width, vocab, context,
        attention: { use: "mha", heads },
        position: { use: "learned" },
        norm: { use: "layer", place: "pre", epsilon: normEpsilon },
        embedding: { use: "tied" },
        feedForward: { use: "gelu-tanh" },
      },
      engine,
      { empty: true, dtype },
    );
    for (const { name, tensor } of model.parameters.all) engine.upload(tensor, weightFor(name, problem));
    return model;
  });
}
