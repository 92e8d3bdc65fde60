import type { Plan } from "@polyhead/core";
import type { CompletedText, TextTiming } from "./complete-text.ts";
import type { DecoderModel } from "./decoder.ts";
import type { EncoderDecoderModel } from "./encoder-decoder.ts";
import type { LanguageModel } from "./language-model.ts";
import { readsPrompts } from "./prompts.ts";

const ofCaches = (model: LanguageModel, rows: number): number => {
  const caches = model.createCache({ batch: 1, kind: "static", capacity: Math.min(rows, model.spec.context) });
  const bytes = caches.reduce((sum, cache) => sum + cache.bytes, 0);
  for (const cache of caches) cache.dispose();
  return bytes;
};

/**
 * Device memory of the caches that `generate` makes for a prompt and a text of so many tokens: allocated at once, in f32. With an encoder,
 * what its decoder keeps of the prompt is counted in.
 */
export function cacheBytes(model: LanguageModel | EncoderDecoderModel, promptTokens: number, tokens: number): number {
  if (!readsPrompts(model)) return ofCaches(model, promptTokens + tokens);
  const { engine, spec } = model;
  const source = engine.keep(engine.zeros([1, promptTokens, spec.width]));
  const decoder = model.decoder({ source });
  const bytes = decoder.bytes + ofCaches(decoder, 1 + tokens);
  decoder.dispose();
  source.dispose();
  return bytes;
}

/** The kernel that a decoder's steps run on, and why: another problem than training poses. */
export function decodePlan(model: DecoderModel): Plan {
  const cache = model.createCache({ batch: 1, kind: "static", capacity: 1 });
  const plan = model.planOf({ cache });
  for (const layer of cache) layer.dispose();
  return plan;
}

/** What `completeText` measured, as programs print it: tokens a second of prompt and decoding, bytes of the cache, why the text ended. */
export function describeText(model: LanguageModel | EncoderDecoderModel, { reason, timing }: CompletedText & { readonly timing: TextTiming }): string {
  const { promptTokens, promptSeconds, promptTokensPerSecond, tokens, decodeSeconds, decodeTokensPerSecond } = timing;
  const rate = (perSecond: number | undefined): string => (perSecond === undefined ? "" : ` (${perSecond.toLocaleString("en", { maximumSignificantDigits: 3 })} tokens/s)`);
  return [
    `prompt    ${promptTokens} tokens in ${promptSeconds.toFixed(2)} s${rate(promptTokensPerSecond)}`,
    `decode    ${tokens} tokens in ${decodeSeconds.toFixed(2)} s${rate(decodeTokensPerSecond)}`,
    `cache     ${cacheBytes(model, promptTokens, tokens).toLocaleString("en")} bytes`,
    `ended     by ${reason}`,
  ].join("\n");
}
