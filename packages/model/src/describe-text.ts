import type { CompletedText, TextTiming } from "./complete-text.ts";
import type { LanguageModel } from "./language-model.ts";

/** Device memory of the caches that `generate` makes for a text of `rows` tokens, its prompt included: allocated at once, in f32. */
export function cacheBytes(model: LanguageModel, rows: number): number {
  const caches = model.createCache({ batch: 1, kind: "static", capacity: Math.min(rows, model.spec.context) });
  const bytes = caches.reduce((sum, cache) => sum + cache.bytes, 0);
  for (const cache of caches) cache.dispose();
  return bytes;
}

/** What `completeText` measured, as programs print it: tokens a second of prompt and decoding, bytes of the cache, why the text ended. */
export function describeText(model: LanguageModel, { reason, timing }: CompletedText & { readonly timing: TextTiming }): string {
  const { promptTokens, promptSeconds, promptTokensPerSecond, tokens, decodeSeconds, decodeTokensPerSecond } = timing;
  const rate = (perSecond: number | undefined): string => (perSecond === undefined ? "" : ` (${perSecond.toLocaleString("en", { maximumSignificantDigits: 3 })} tokens/s)`);
  const rows = promptTokens + tokens;
  return [
    `prompt    ${promptTokens} tokens in ${promptSeconds.toFixed(2)} s${rate(promptTokensPerSecond)}`,
    `decode    ${tokens} tokens in ${decodeSeconds.toFixed(2)} s${rate(decodeTokensPerSecond)}`,
    `cache     ${cacheBytes(model, rows).toLocaleString("en")} bytes for ${Math.min(rows, model.spec.context)} tokens`,
    `ended     by ${reason}`,
  ].join("\n");
}
