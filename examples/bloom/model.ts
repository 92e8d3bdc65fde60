// BLOOM (BigScience, 2022): no positions but ALiBi's slopes on the scores, and a norm right after the embedding.
import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { alibi } from "@polyhead/pos-alibi";
import type { Engine } from "@polyhead/tensor";

export const lab = createLab(mha, alibi, layer, tied, flash, reference, decoder);

/** The design at the size of a toy, with weights drawn at random. */
export const toy = (vocab: number, engine: Engine): DecoderModel =>
  lab.model({
    layers: 2, width: 64, vocab, context: 64,
    attention: { use: "mha", heads: 4 },
    position: { use: "alibi" },
    norm: { use: "layer", place: "pre", embedding: true },
    embedding: { use: "tied", std: 0.08 },
    feedForward: { use: "gelu-tanh" },
  }, engine);
