import { endingRows } from "./generate-batch.ts";
import type { GenerateOptions, StopReason } from "./generate-options.ts";
import type { LanguageModel } from "./language-model.ts";

/**
 * Continues `prompt`, one token id at a time, on a static KV cache: the first step after the prompt is recorded and the others
 * replay it, each reading the token of the one before where it lies on the device. When the context is full, its later half is
 * kept and read again, so that text of any length can be drawn, unless `whenFull` is `stop`.
 *
 * @returns why it ended
 * @throws PolyheadError what `generateBatch` throws; a prompt that is longer than the context is cut to its last tokens where the context restarts.
 */
export async function* generate(model: LanguageModel, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, StopReason, void> {
  const tokens = endingRows(model, [prompt], { whenFull: "restart", ...options });
  try {
    for (;;) {
      const { done, value } = await tokens.next();
      if (done === true) return value[0]!;
      yield value.id;
    }
  } finally {
    await tokens.return([]);
  }
}
