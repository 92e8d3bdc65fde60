import { PolyheadError } from "@polyhead/core";
import { argmax, multinomial, pick, scale, softmax, topK, type Tensor } from "@polyhead/tensor";
import type { DecoderModel } from "./decoder.ts";

export interface GenerateOptions {
  /** New tokens at most. */
  readonly tokens: number;
  /** Divides the logits; 0 takes the likeliest token. Default 1. */
  readonly temperature?: number;
  /** Draws among the `topK` likeliest tokens only. Default: all. */
  readonly topK?: number;
  /** Seed of the draws; default the engine's. */
  readonly seed?: number;
  /** Tokens of the prompt that are read at a time; see `DecoderModel.prefill`. */
  readonly chunk?: number;
  readonly signal?: AbortSignal;
}

/**
 * Continues `prompt`, one token id at a time, on a KV cache. When the context is full, its later half is kept and read again,
 * so that text of any length can be drawn.
 *
 * @throws PolyheadError `MODEL_PROMPT` for an empty prompt, `CONFIG_RANGE` for impossible options.
 */
export async function* generate(model: DecoderModel, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, void> {
  const { engine, spec } = model;
  const { tokens, temperature = 1, topK: k, seed = engine.seed, chunk, signal } = options;
  if (prompt.length === 0) throw new PolyheadError("MODEL_PROMPT", "the prompt is empty", "start from at least one token");
  if (!(temperature >= 0)) throw new PolyheadError("CONFIG_RANGE", `temperature is ${temperature}; expected a number of at least 0`, "use 0 for greedy, 1 for the model's own distribution");
  if (k !== undefined && !(Number.isInteger(k) && k >= 1)) throw new PolyheadError("CONFIG_RANGE", `topK is ${k}; expected a whole number of at least 1`, "leave it out to draw among all tokens");

  const cache = model.createCache({ batch: 1 });
  try {
    let held: number[] = [];
    let next = prompt.slice(-spec.context);
    for (let i = 0; i < tokens; i++) {
      signal?.throwIfAborted();
      if (held.length + next.length > spec.context) {
        next = [...held, ...next].slice(-Math.ceil(spec.context / 2));
        held = [];
        for (const layer of cache) layer.truncate(0);
      }
      const input = next;
      const drawn = engine.noGrad(() =>
        engine.scope(() => {
          const logits = model.prefill(model.ids(input), { cache, ...(chunk !== undefined && { chunk }) });
          return draw(logits.reshape([1, spec.vocab]), temperature, k, seed, i);
        }),
      );
      const id = await drawn.item();
      drawn.dispose();
      held.push(...input);
      next = [id];
      yield id;
    }
  } finally {
    for (const layer of cache) layer.dispose();
  }
}

/** One id u32 `[1]` from logits `[1, vocab]`. */
function draw(logits: Tensor, temperature: number, k: number | undefined, seed: number, stream: number): Tensor {
  if (temperature === 0) return argmax(logits);
  const cooled = scale(logits, 1 / temperature);
  if (k === undefined || k >= logits.size) return multinomial(softmax(cooled), { seed, stream });
  const { values, indices } = topK(cooled, k);
  const place = multinomial(softmax(values), { seed, stream });
  return pick(indices, place);
}
