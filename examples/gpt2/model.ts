// GPT-2 (Radford et al., 2019): learned positions, a layer norm before each sublayer, one table of words for both ends.
import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import type { Engine } from "@polyhead/tensor";

export const lab = createLab(mha, learned, layer, tied, flash, reference, decoder);

/** The design at the size of a toy, with weights drawn at random. */
export const toy = (vocab: number, engine: Engine): DecoderModel =>
  lab.model({
    layers: 2, width: 64, vocab, context: 64,
    attention: { use: "mha", heads: 4 },
    position: { use: "learned" },
    norm: { use: "layer", place: "pre" },
    embedding: { use: "tied", std: 0.08 },
    feedForward: { use: "gelu-tanh" },
  }, engine);
