import { PolyheadError } from "@polyhead/core";
import type { DecodeReplay } from "./decode-step.ts";

/**
 * Why a row ended: it chose a stop id, its text reached a stop string, it has as many tokens as were asked for, the model's context
 * is full, or the caller's signal was aborted.
 */
export type StopReason = "stop-id" | "stop-string" | "length" | "context" | "aborted";

/** How an id is chosen from logits. The steps follow each other in this order, as in Hugging Face's `generate`. */
export interface ChoiceOptions {
  /** Logits of ids that the prompt or the text holds are divided by it where positive, else multiplied; above 0. Default 1. */
  readonly repetitionPenalty?: number;
  /** Divides the logits; 0 takes the likeliest id. Default 1. */
  readonly temperature?: number;
  /** Draws among the `topK` likeliest ids only, and those as likely as the last of them. Default: all. */
  readonly topK?: number;
  /** Draws among the smallest set of the likeliest ids whose probabilities sum to at least this; above 0, at most 1. Default 1. */
  readonly topP?: number;
  /** Draws among ids with at least this part of the largest probability; 0 to 1. Default 0. */
  readonly minP?: number;
  /** Seed of the draws, a u32; default the engine's. */
  readonly seed?: number;
  /** Stream of the seed that the first row draws from, the second from the next one, and so on. Default 0. */
  readonly stream?: number;
}

export interface GenerateBatchOptions extends ChoiceOptions {
  /** New tokens at most, of every row. */
  readonly tokens: number;
  /** Ids that end a row. They are still given. */
  readonly stopIds?: number | readonly number[];
  /** Tokens of the prompts that are read at a time: memory follows them, and an aborted signal ends the reading between two. Default 512. */
  readonly chunk?: number;
  /**
   * Whether steps are replayed from a recording. `auto` (default) does so where it can, `true` insists, `false` never does. The
   * ids are the same either way.
   */
  readonly replay?: DecodeReplay;
  /** Told why steps are not replayed, where `auto` could not. */
  readonly onNotice?: (message: string) => void;
  /** Ends all rows when it is aborted; no error is thrown. */
  readonly signal?: AbortSignal;
}

export interface GenerateOptions extends GenerateBatchOptions {
  /**
   * What happens when the context is full. `restart` (default): its later half is kept and read again, so that text of any length
   * can be drawn. `stop`: the row ends.
   */
  readonly whenFull?: "restart" | "stop";
}

/** `generate`'s options with every default that does not depend on the model. */
export interface CheckedOptions extends GenerateOptions {
  readonly stops: ReadonlySet<number>;
}

/** @throws PolyheadError `CONFIG_RANGE` naming the option and what it was given. */
export function checkOptions(options: GenerateOptions, vocab: number): CheckedOptions {
  const { tokens, temperature = 1, topK = 1, topP = 1, minP = 0, repetitionPenalty = 1, seed = 0, stream = 0, chunk = 1, stopIds = [] } = options;
  const whole = (least: number, below: number) => (x: number): boolean => Number.isInteger(x) && x >= least && x < below;
  check("tokens", tokens, (x) => x === Infinity || whole(0, Infinity)(x), "a whole number of at least 0", "say how many new tokens there may be");
  check("temperature", temperature, (x) => x >= 0 && x < Infinity, "a number of at least 0", "use 0 for greedy, 1 for the model's own distribution");
  check("topK", topK, whole(1, Infinity), "a whole number of at least 1", "leave it out to draw among all ids");
  check("topP", topP, (x) => x > 0 && x <= 1, "a number above 0 and at most 1", "leave it out to draw among all ids");
  check("minP", minP, (x) => x >= 0 && x <= 1, "a number from 0 to 1", "leave it out to draw among all ids");
  check("repetitionPenalty", repetitionPenalty, (x) => x > 0 && x < Infinity, "a number above 0", "use 1 for none, more to discourage repetition");
  check("seed", seed, whole(0, 2 ** 32), "a whole number from 0 to 2³² − 1", "leave it out for the engine's seed");
  check("stream", stream, whole(0, 2 ** 31), "a whole number from 0 to 2³¹ − 1", "leave it out for the first stream of the seed");
  check("chunk", chunk, whole(1, Infinity), "a whole number of at least 1", "leave it out, or give the tokens that are read at a time");
  const stops = new Set(typeof stopIds === "number" ? [stopIds] : stopIds);
  for (const id of stops) check("stopIds", id, whole(0, vocab), `ids from 0 to ${vocab - 1}, the vocabulary`, "take them from the tokenizer that fits this model");
  return { ...options, stops };
}

function check(name: string, value: number, right: (value: number) => boolean, expected: string, fix: string): void {
  if (!right(value)) throw new PolyheadError("CONFIG_RANGE", `${name} is ${value}; expected ${expected}`, fix);
}
