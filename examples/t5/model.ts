// T5 (Raffel et al., 2020): an encoder reads, a decoder writes; learned biases by distance, which the layers of a stack share; RMS
// norms, no bias and no scale of scores anywhere.
import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { encoderDecoder, type EncoderDecoderModel } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { t5 } from "@polyhead/pos-relative";
import type { Engine } from "@polyhead/tensor";

export const lab = createLab(mha, t5, rms, tied, untied, flash, reference, encoderDecoder);

/** The design at the size of a toy, with weights drawn at random. */
export const toy = (vocab: number, engine: Engine): EncoderDecoderModel =>
  lab.model({
    layers: 2, width: 64, vocab, context: 16, encoder: { layers: 2 },
    attention: { use: "mha", heads: 4, bias: false, scale: 1 },
    position: { use: "t5", buckets: 32, maxDistance: 32 },
    norm: { use: "rms", place: "pre" },
    embedding: { use: "tied", std: 0.5, logitScale: 1 / 8 },
    feedForward: { use: "relu", bias: false },
  }, engine);
