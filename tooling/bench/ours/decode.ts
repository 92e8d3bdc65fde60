import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import { createEngine } from "@polyhead/tensor";
import type { DecodeRun } from "../cases/decode.ts";
import { normEpsilon, type DecodeProblem } from "../cases/decode-problem.ts";
import type { Contender } from "../contender.ts";
import { sharing } from "../sharing.ts";
import { decodeRunner } from "./decode-runner.ts";
import { weightFor } from "./gpt-weights.ts";
import { ourGpu } from "./gpu.ts";

const lab = createLab(decoder, mha, flash, reference, learned, layer, tied);

export type WeightType = "f32" | "f16";

export interface OurDecoderOptions {
  readonly dtype: WeightType;
  readonly replay: boolean;
}

/** A decoder composed from plugins, as a user would. */
export const ourDecoder = ({ dtype, replay }: OurDecoderOptions): Contender<DecodeRun> => ({
  name: ["polyhead", dtype, ...(replay ? [] : ["without replay"])].join(" "),
  role: "ours",
  async setup(run) {
    const { value: model, release } = await models.take(dtype, () => build(run.decoder, dtype));
    const runner = await decodeRunner(model, run, replay);
    return {
      ...runner,
      close() {
        runner.close?.();
        release();
      },
    };
  },
});

/** One model of each kind of weights, whoever runs it. */
const models = sharing<WeightType, DecoderModel>((model) => { model.dispose(); });

async function build(problem: DecodeProblem, dtype: WeightType): Promise<DecoderModel> {
  const gpu = await ourGpu();
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
}
