import { PolyheadError } from "@polyhead/core";
import { argmax, multinomial, pick, scale, softmax, topK, type Tensor } from "@polyhead/tensor";
import { DecodeStep, type DecodeReplay, type Live } from "./decode-step.ts";
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
  /**
   * Whether steps are replayed from a recording. `auto` (default) does so where it can, `true` insists, `false` never does. The
   * ids are the same either way.
   */
  readonly replay?: DecodeReplay;
  /** Told why steps are not replayed, where `auto` could not. */
  readonly onNotice?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** Steps that are sent before the id of an earlier one has come back: the device need not wait for the reader. */
const AHEAD = 2;

/**
 * Continues `prompt`, one token id at a time, on a static KV cache: the first step after the prompt is recorded and the others
 * replay it, each reading the token of the one before where it lies on the device. When the context is full, its later half is
 * kept and read again, so that text of any length can be drawn.
 *
 * @throws PolyheadError `MODEL_PROMPT` for an empty prompt, `CONFIG_RANGE` for impossible options, `MODEL_LOGITS` where they are NaN,
 * `MODEL_REPLAY` where replay is insisted on and impossible.
 */
export async function* generate(model: DecoderModel, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number, void, void> {
  const { engine, spec } = model;
  const { tokens, temperature = 1, topK: k, seed = engine.seed, chunk, replay = "auto", onNotice, signal } = options;
  if (prompt.length === 0) throw new PolyheadError("MODEL_PROMPT", "the prompt is empty", "start from at least one token");
  if (!(temperature >= 0)) throw new PolyheadError("CONFIG_RANGE", `temperature is ${temperature}; expected a number of at least 0`, "use 0 for greedy, 1 for the model's own distribution");
  if (k !== undefined && !(Number.isInteger(k) && k >= 1)) throw new PolyheadError("CONFIG_RANGE", `topK is ${k}; expected a whole number of at least 1`, "leave it out to draw among all tokens");
  if (tokens <= 0) return;

  const cache = model.createCache({ batch: 1, kind: "static", capacity: Math.min(spec.context, prompt.length + tokens) });
  const step = new DecodeStep(model, { cache, replay, choose: (logits, stream) => draw(logits, temperature, k, seed, stream) });
  const prefill = (ids: readonly number[], i: number): void => {
    engine.scope(() => { step.start(model.prefill(model.ids(ids), { cache, ...(chunk !== undefined && { chunk }) }), i); });
  };
  /** The tokens in the cache and the one after them, as far as they are known here. */
  let text = prompt.slice(-spec.context);
  const coming: Promise<number>[] = [];
  const arrive = async function* (most: number): AsyncGenerator<number, void, void> {
    while (coming.length > most) {
      const id = await coming.shift()!;
      signal?.throwIfAborted();
      if (id >= spec.vocab) throw new PolyheadError("MODEL_LOGITS", `no token can be chosen after ${text.length}: the logits are no numbers, or have no finite sum`, "look for NaN or infinities in the weights");
      text.push(id);
      yield id;
    }
  };
  try {
    for (let i = 0; i < tokens; i++) {
      signal?.throwIfAborted();
      const full = cache[0]!.length === spec.context;
      if (full) {
        yield* arrive(0);
        text = text.slice(-Math.ceil(spec.context / 2));
        for (const layer of cache) layer.truncate(0);
      }
      if (i === 0 || full) prefill(text, i);
      else step.next(i);
      if (step.obstacle !== undefined && i === 1 && replay === "auto") onNotice?.(`decoding runs without replay: ${step.obstacle}`);
      const id = step.ids.item();
      id.catch(() => undefined); // thrown when its turn comes; after an early return, never
      coming.push(id);
      yield* arrive(AHEAD);
    }
    yield* arrive(0);
  } finally {
    await Promise.allSettled(coming);
    step.dispose();
    for (const layer of cache) layer.dispose();
  }
}

/** One id a row, u32 `[B]`, from logits `[B, vocab]`. */
function draw(logits: Tensor, temperature: number, k: number | undefined, seed: number, stream: Live): Tensor {
  if (temperature === 0) return argmax(logits);
  const cooled = scale(logits, 1 / temperature);
  if (k === undefined || k >= logits.shape[1]!) return multinomial(softmax(cooled), { seed, stream });
  const { values, indices } = topK(cooled, k);
  const place = multinomial(softmax(values), { seed, stream });
  return pick(indices, place);
}
