// Sandwich transformers (Press et al., 2020, arXiv:1911.03864): the same sublayers in another order, k self-attentions first and k
// feed-forward networks last.
import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import type { Engine } from "@polyhead/tensor";

export const lab = createLab(mha, learned, layer, tied, flash, reference, decoder);

/** What is compared: `(sf)4` and `s2(sf)2f2`, or any other order of four of each. */
export const ORDERS = ["interleaved", "sandwich:2"] as const;

/** A toy whose sublayers stand in `order`; parameters and their number are the same for all. */
export const toy = (order: string, vocab: number, engine: Engine): DecoderModel =>
  lab.model({
    layers: 4, width: 64, vocab, context: 64, order,
    attention: { use: "mha", heads: 4 },
    position: { use: "learned" },
    norm: { use: "layer", place: "pre" },
    embedding: { use: "tied", std: 0.08 },
    feedForward: { use: "relu" },
  }, engine);
