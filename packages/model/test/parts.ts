import { mha, reference } from "@polyhead/attn-mha";
import { createLab, none, type BuildOptions, type Lab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { layer } from "@polyhead/norm-layer";
import { rms } from "@polyhead/norm-rms";
import { learned, sinusoidal } from "@polyhead/pos-absolute";
import { rope } from "@polyhead/pos-rope";
import { decoder, encoder, encoderDecoder, type DecoderModel, type EncoderDecoderModel, type EncoderModel } from "../src/index.ts";
import type { Engine } from "@polyhead/tensor";

export const lab: Lab = createLab(mha, rope, learned, sinusoidal, none, layer, rms, tied, untied, reference, decoder, encoder, encoderDecoder);

type More = Readonly<Record<string, unknown>>;

/** A spec that is small unless `more` says otherwise. */
export function smallSpec(more: More = {}): More {
  return {
    layers: 2, width: 12, vocab: 7, context: 9,
    attention: { use: "mha", heads: 4, kvHeads: 2, headDim: 4 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" }, feedForward: { use: "swiglu", width: 10 },
    ...more,
  };
}

/** A small model of such a spec. */
export const small = (engine: Engine, more: More = {}, options: BuildOptions = {}): DecoderModel => lab.build(lab.resolve(smallSpec(more)), engine, options) as DecoderModel;

export const smallEncoder = (engine: Engine, more: More = {}): EncoderModel => lab.build(lab.resolve(smallSpec({ architecture: "encoder", ...more })), engine) as EncoderModel;

export const smallEncoderDecoder = (engine: Engine, more: More = {}): EncoderDecoderModel => lab.build(lab.resolve(smallSpec({ architecture: "encoder-decoder", ...more })), engine) as EncoderDecoderModel;
