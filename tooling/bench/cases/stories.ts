import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Case, Contender } from "../contender.ts";
import { decodeError, type DecodeRun } from "./decode.ts";

/** The 260K story model, which goes on from its first token. */
export interface StoryRun extends Pick<DecodeRun, "past" | "first" | "tokens"> {
  /** Files in Hugging Face's layout. */
  readonly folder: string;
}

const TOKENS = 64;

/** What config.json says of a Llama. */
interface LlamaConfig {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_attention_heads: number;
  readonly num_hidden_layers: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
}

/** Weights that every step multiplies with: projections, the three matrices of the gated feed-forward, and the table for logits. */
function weightsOf({ hidden_size: width, intermediate_size: hidden, num_attention_heads: heads, num_key_value_heads: kvHeads, num_hidden_layers: layers, vocab_size: vocab }: LlamaConfig): number {
  const keysAndValues = (2 * width * kvHeads) / heads;
  return layers * width * (2 * width + keysAndValues + 3 * hidden) + vocab * width;
}

/**
 * @param data  of the layout of the reference data
 * @returns undefined where the model is not there.
 */
export function storiesCase(data: string, contenders: readonly Contender<StoryRun>[]): Case<StoryRun> | undefined {
  const folder = join(data, "models", "stories260K-hf");
  const golden = join(folder, "greedy.json");
  if (!existsSync(golden)) return undefined;
  const { ids } = JSON.parse(readFileSync(golden, "utf8")) as { readonly ids: readonly number[] };
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as LlamaConfig;
  const weights = weightsOf(config);
  const past = ids.slice(0, 1);
  return {
    bench: "decode",
    name: `stories260K ${String(past.length)}…${String(past.length + TOKENS)}`,
    problem: { folder, past, first: ids[1] ?? NaN, tokens: TOKENS },
    contenders,
    flops: 2 * weights + 4 * config.num_hidden_layers * config.hidden_size * (TOKENS / 2),
    bytes: 4 * weights,
    perRun: TOKENS,
    warmups: 1,
    error: (output) => decodeError(output, ids.slice(2, 2 + TOKENS), []),
    tolerance: 0,
  };
}
