// Llama (Touvron et al., 2023; the third in 2024): grouped keys and values, rotary positions, RMS norms, SwiGLU, no biases.
import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import type { Engine } from "@polyhead/tensor";

export const lab = createLab(mha, rope, rms, tied, untied, flash, reference, decoder);

/** The design at the size of a toy, with weights drawn at random. */
export const toy = (vocab: number, engine: Engine): DecoderModel =>
  lab.model({
    layers: 2, width: 64, vocab, context: 64,
    attention: { use: "mha", heads: 4, kvHeads: 2, bias: false },
    position: { use: "rope", base: 10_000 },
    norm: { use: "rms", place: "pre" },
    embedding: { use: "untied", std: 0.08 },
    feedForward: { use: "swiglu", bias: false },
  }, engine);
