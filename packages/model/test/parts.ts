import { mha, reference } from "@polyhead/attn-mha";
import { createLab, none, type Lab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { layer } from "@polyhead/norm-layer";
import { rms } from "@polyhead/norm-rms";
import { learned, sinusoidal } from "@polyhead/pos-absolute";
import { rope } from "@polyhead/pos-rope";
import { decoder, type DecoderModel } from "../src/index.ts";
import type { Engine } from "@polyhead/tensor";

export const lab: Lab = createLab(mha, rope, learned, sinusoidal, none, layer, rms, tied, untied, reference, decoder);

/** A model of a spec that is small unless `more` says otherwise. */
export function small(engine: Engine, more: Readonly<Record<string, unknown>> = {}): DecoderModel {
  const spec = {
    layers: 2, width: 12, vocab: 7, context: 9,
    attention: { use: "mha", heads: 4, kvHeads: 2, headDim: 4 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" }, feedForward: { use: "swiglu", width: 10 },
    ...more,
  };
  return lab.build(lab.resolve(spec), engine) as DecoderModel;
}
