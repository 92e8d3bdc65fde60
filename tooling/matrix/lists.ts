// What the matrix is made of. A new plugin, or a config of one that computes something of its own, is one line here.
import { flash } from "@polyhead/attn-flash";
import { flex } from "@polyhead/attn-flex";
import { mha, reference } from "@polyhead/attn-mha";
import { and, causal, custom, document, full, maskMod, none, not, or, prefix, window, type Mask, type Plugin } from "@polyhead/core";
import { layer } from "@polyhead/norm-layer";
import { rms } from "@polyhead/norm-rms";
import { learned, sinusoidal } from "@polyhead/pos-absolute";
import { alibi } from "@polyhead/pos-alibi";
import { fire, kerple, relativeBias, shaw, t5 } from "@polyhead/pos-relative";
import { rope } from "@polyhead/pos-rope";
import { flexInBlocks } from "./flex-in-blocks.ts";
import { CONTEXT, SIZES } from "./sizes.ts";

/** A choice of a plugin with a config, under the name that the table shows. */
export interface Choice {
  readonly name: string;
  readonly plugin: Plugin;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** How the rows of x stand: from which global position on, and whether a second chunk of them is computed beside a cache too. */
export interface AttentionChoice extends Choice {
  readonly offset: number;
  readonly cached: boolean;
}

export const ATTENTIONS: readonly AttentionChoice[] = [
  { name: "MHA", plugin: mha, config: { heads: 4 }, offset: 0, cached: false },
  { name: "GQA", plugin: mha, config: { heads: 4, kvHeads: 2 }, offset: 3, cached: false },
  { name: "MQA", plugin: mha, config: { heads: 4, kvHeads: 1, bias: false }, offset: 0, cached: true },
];

export const KERNELS: readonly Choice[] = [
  { name: "reference", plugin: reference },
  { name: "flash", plugin: flash },
  { name: "flex", plugin: flex },
  { name: "flex in blocks of 16", plugin: flexInBlocks },
];

export const POSITIONS: readonly Choice[] = [
  { name: "none", plugin: none },
  { name: "sinusoidal", plugin: sinusoidal },
  { name: "learned", plugin: learned },
  { name: "rope", plugin: rope },
  { name: "rope, interleaved", plugin: rope, config: { layout: "interleaved" } },
  { name: "rope, half of a head", plugin: rope, config: { fraction: 0.5 } },
  { name: "rope, linear", plugin: rope, config: { scaling: { ropeType: "linear", factor: 2 } } },
  { name: "rope, ntk", plugin: rope, config: { scaling: { ropeType: "ntk", factor: 2 } } },
  { name: "rope, dynamic ntk", plugin: rope, config: { scaling: { ropeType: "dynamic", factor: 2, originalMaxPositionEmbeddings: 12 } } },
  { name: "rope, yarn", plugin: rope, config: { scaling: { ropeType: "yarn", factor: 2, originalMaxPositionEmbeddings: 12 } } },
  { name: "rope, llama3", plugin: rope, config: { scaling: { ropeType: "llama3", factor: 2, originalMaxPositionEmbeddings: 12, lowFreqFactor: 1, highFreqFactor: 4 } } },
  { name: "rope, longrope", plugin: rope, config: { scaling: { ropeType: "longrope", originalMaxPositionEmbeddings: 12, shortFactor: [1, 1.5], longFactor: [1.5, 3] } } },
  { name: "alibi", plugin: alibi },
  { name: "alibi, learned", plugin: alibi, config: { learned: true } },
  { name: "t5", plugin: t5, config: { buckets: 8, maxDistance: 12, bidirectional: false } },
  { name: "t5, bidirectional", plugin: t5, config: { buckets: 8, maxDistance: 12, bidirectional: true } },
  { name: "relative-bias", plugin: relativeBias, config: { maxDistance: 5 } },
  { name: "shaw", plugin: shaw, config: { maxDistance: 5 } },
  { name: "kerple, log", plugin: kerple },
  { name: "kerple, power", plugin: kerple, config: { form: "power" } },
  { name: "fire", plugin: fire, config: { width: 4, threshold: 8 } }, // the paper's 32 units take as much longer to compile
];

export const NORMS: readonly Choice[] = [
  { name: "layer", plugin: layer },
  { name: "rms", plugin: rms },
];

/** Documents of three, four, two, … tokens, at other places in the second batch row. */
const documents = document(Int32Array.from({ length: SIZES.batch * CONTEXT }, (_, i) => Math.floor(((i % CONTEXT) + 2 * Math.floor(i / CONTEXT)) / 3)), [SIZES.batch, CONTEXT]);
const everyThird = custom(maskMod`(q + 2 * kv + h) % 3 != 0`);

export const MASKS: Readonly<Record<string, Mask>> = {
  "full": full(),
  "causal": causal(),
  "window": window(2, 1),
  "prefix": prefix(4),
  "document": documents,
  "custom": everyThird,
  "custom range": custom(maskMod`kv <= q && q - kv < 3`),
  "and": and(causal(), documents),
  "or": or(window(1), everyThird),
  "not": not(causal()), // leaves the last row without a key
};
