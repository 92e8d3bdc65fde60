import { flash } from "@polyhead/attn-flash";
import { reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";

/** What attention cases are planned over. */
export const attentionLab = createLab(flash, reference);
