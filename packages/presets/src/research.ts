import { flex } from "@polyhead/attn-flex";
import { fire, kerple, relativeBias, shaw } from "@polyhead/pos-relative";
import { transformers } from "./transformers.ts";

/** `transformers`, and the parts that papers compare with them: every plugin of this repository. */
export const research: readonly [...typeof transformers, typeof shaw, typeof kerple, typeof fire, typeof relativeBias, typeof flex] = Object.freeze([
  ...transformers, shaw, kerple, fire, relativeBias, flex,
] as const);
