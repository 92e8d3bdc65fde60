import { PolyheadError } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { Chooser } from "./choose.ts";
import { DecodeStep } from "./decode-step.ts";
import type { CheckedOptions, StopReason } from "./generate-options.ts";
import type { LanguageModel } from "./language-model.ts";
import { checkPrompts } from "./prompts.ts";

/** Steps that are sent before the ids of an earlier one have come back: the device need not wait for the reader. */
const AHEAD = 2;
/** Tokens of a prompt that are read at a time. */
const CHUNK = 512;

/**
 * The ids of all rows of a batch, a step at a time, for as long as they are asked for: which rows have ended is the caller's business.
 * Prompts of different lengths are padded on the left. The first step after the prompts is recorded and the others replay it, each
 * reading the ids of the one before where they lie on the device.
 *
 * @returns why no more come: `length`, `context` or `aborted`
 */
export async function* generateRows(model: LanguageModel, prompts: readonly (readonly number[])[], options: CheckedOptions): AsyncGenerator<ArrayLike<number>, StopReason, void> {
  const { engine, spec } = model;
  const { tokens, chunk = CHUNK, replay = "auto", onNotice, signal } = options;
  const aborted = (): boolean => signal?.aborted === true;
  const restarts = options.whenFull === "restart";
  checkPrompts(prompts, restarts ? { ...spec, context: Infinity } : spec);
  if (restarts && prompts.length > 1) throw new PolyheadError("CONFIG_RANGE", `whenFull is 'restart' for ${prompts.length} prompts; only a single one can start again`, "leave it out, or generate one prompt at a time");
  if (tokens === 0) return "length";
  if (aborted()) return "aborted";

  /** Of the only row where the context is restarted: the tokens in the cache and the one after them, as far as they are known here. */
  let text = restarts ? prompts[0]!.slice(-spec.context) : [];
  const longest = Math.max(...prompts.map(({ length }) => length));
  const coming: Promise<ArrayLike<number>>[] = [];
  const owned: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(one: T): T => (owned.push(one), one);
  const arrive = async function* (most: number): AsyncGenerator<ArrayLike<number>, void, void> {
    while (coming.length > most && !aborted()) {
      const ids = await coming.shift()!;
      if (aborted()) return;
      if (restarts) text.push(ids[0]!);
      yield ids;
    }
  };
  try {
    const cache = model.createCache({ batch: prompts.length, kind: "static", capacity: Math.min(spec.context, longest + tokens) }).map(own);
    const chooser = own(new Chooser(engine, { ...options, prompts, vocab: spec.vocab }));
    const padding = prompts.some(({ length }) => length < longest) ? leftPadding(model, prompts, longest) : undefined;
    for (const tensor of Object.values(padding ?? {})) own(tensor);
    const step = own(new DecodeStep(model, { cache, replay, choose: chooser.choose, ...(padding && { starts: padding.starts }) }));
    // A chunk at a time, and the device finishes one before the next is sent: so a long prompt can be aborted, and holds up nobody.
    const prefill = async (rows: readonly (readonly number[])[], i: number): Promise<void> => {
      const table = padLeft(rows);
      const length = table[0]!.length;
      for (let at = 0; at < length; at += chunk) {
        if (at > 0) await engine.gpu.settled();
        if (aborted()) return;
        engine.scope(() => {
          const part = table.map((ids) => ids.slice(at, at + chunk));
          const limits = padding && { starts: padding.starts, positions: padding.positions.narrow(1, at, part[0]!.length) };
          const logits = model.prefill(model.ids(part.flat(), rows.length), { cache, chunk, ...limits });
          if (at + chunk >= length) step.start(logits, i);
        });
      }
    };
    for (let i = 0; i < tokens; i++) {
      const full = cache[0]!.length === spec.context;
      if (full) {
        yield* arrive(0);
        if (!restarts) return aborted() ? "aborted" : "context";
        text = text.slice(-Math.ceil(spec.context / 2));
        for (const layer of cache) layer.truncate(0);
      }
      if (aborted()) return "aborted";
      if (i === 0 || full) await prefill(restarts ? [text] : prompts, i);
      else step.next(i);
      if (aborted()) return "aborted";
      if (step.obstacle !== undefined && i === 1 && replay === "auto") onNotice?.(`decoding runs without replay: ${step.obstacle}`);
      const ids = step.ids.read();
      ids.catch(() => undefined); // thrown when its turn comes; after an early return, never
      coming.push(ids);
      yield* arrive(AHEAD);
    }
    yield* arrive(0);
    return aborted() ? "aborted" : "length";
  } finally {
    await Promise.allSettled(coming);
    for (const one of owned.reverse()) one.dispose();
  }
}

/** Rows of equal length, filled on the left: padding is never seen, so any id will do. */
function padLeft(rows: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const longest = Math.max(...rows.map(({ length }) => length));
  return rows.map((ids) => [...new Array<number>(longest - ids.length).fill(0), ...ids]);
}

/** First key row of every sequence, i32 [B], and the positions of all rows, u32 [B, longest]. */
function leftPadding({ engine }: LanguageModel, prompts: readonly (readonly number[])[], longest: number): { readonly starts: Tensor; readonly positions: Tensor } {
  const starts = prompts.map(({ length }) => longest - length);
  const positions = starts.flatMap((start) => Array.from({ length: longest }, (_, row) => Math.max(0, row - start)));
  return {
    starts: engine.keep(engine.tensor(starts, [prompts.length], { dtype: "i32" })),
    positions: engine.keep(engine.tensor(positions, [prompts.length, longest], { dtype: "u32" })),
  };
}
