import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { mla } from "@polyhead/attn-mla";
import { none } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { decoder, encoder, encoderDecoder } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { rms } from "@polyhead/norm-rms";
import { learned, sinusoidal } from "@polyhead/pos-absolute";
import { alibi } from "@polyhead/pos-alibi";
import { t5 } from "@polyhead/pos-relative";
import { rope } from "@polyhead/pos-rope";

/**
 * Everything that published models are made of: `createLab(...transformers)` knows how to build each family that
 * `loadPretrained` reads. A tuple, so that the lab still knows every name and option at compile time.
 */
export const transformers: readonly [
  typeof mha, typeof mla,
  typeof rope, typeof alibi, typeof t5, typeof learned, typeof sinusoidal, typeof none,
  typeof layer, typeof rms,
  typeof tied, typeof untied,
  typeof flash, typeof reference,
  typeof decoder, typeof encoder, typeof encoderDecoder,
] = Object.freeze([mha, mla, rope, alibi, t5, learned, sinusoidal, none, layer, rms, tied, untied, flash, reference, decoder, encoder, encoderDecoder] as const);
