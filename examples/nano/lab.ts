// The parts this example composes from. Each is a package of its own: install what you use.
import { flash } from "@polyhead/attn-flash";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab, none } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { decoder } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { rms } from "@polyhead/norm-rms";
import { learned, sinusoidal } from "@polyhead/pos-absolute";
import { alibi } from "@polyhead/pos-alibi";
import { fire, kerple, shaw, t5 } from "@polyhead/pos-relative";
import { rope } from "@polyhead/pos-rope";

export const lab = createLab(mha, rope, alibi, t5, shaw, kerple, fire, learned, sinusoidal, none, layer, rms, tied, untied, flash, reference, decoder);
