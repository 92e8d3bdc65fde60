// DeepSeek-V3 (2024, arXiv:2412.19437): keys and values made from one latent, which is all that is cached; after the first layers,
// mixtures of experts, balanced by a bias that no gradient reaches.
import { flash } from "@polyhead/attn-flash";
import { reference } from "@polyhead/attn-mha";
import { mla } from "@polyhead/attn-mla";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import type { Engine } from "@polyhead/tensor";

export const lab = createLab(mla, rope, rms, tied, untied, flash, reference, decoder);

/** The design at the size of a toy, with weights drawn at random. */
export const toy = (vocab: number, engine: Engine): DecoderModel =>
  lab.model({
    layers: 2, width: 64, vocab, context: 64, order: "(sf)1(sm)1",
    attention: { use: "mla", heads: 4, queryRank: 32, kvRank: 16, nopeDim: 16, ropeDim: 8, valueDim: 16 },
    position: { use: "rope", layout: "interleaved" },
    norm: { use: "rms", place: "pre" },
    embedding: { use: "untied", std: 0.08 },
    feedForward: { use: "swiglu", bias: false },
    experts: { routed: 8, active: 2, width: 48, shared: 1, scoring: "sigmoid", normalize: true, correction: true },
  }, engine);
