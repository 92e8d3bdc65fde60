import { PolyheadError, suggest } from "@polyhead/core";
import { readArguments, readNumber, type NumberRange } from "@polyhead/model/node";
import { lab } from "./lab.ts";

/** What can be swapped from the command line. */
export interface NanoConfig {
  readonly position: "rope" | "alibi" | "t5" | "shaw" | "kerple" | "fire" | "absolute" | "sinusoidal" | "none";
  readonly norm: "rms" | "layer";
  readonly normPlace: "pre" | "post";
  readonly embedding: "tied" | "untied";
  readonly feedForward: "gelu" | "gelu-tanh" | "relu" | "swiglu";
  readonly heads: number;
  readonly kvHeads: number;
  readonly layers: number;
  readonly width: number;
  readonly context: number;
  readonly dropout: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly rate: number;
  readonly steps: number;
  readonly seed: number;
}

/** Sizes that suit adapters from a software GPU to a big card; the demo picks one by a probe. */
export const SIZES = {
  micro: { layers: 2, width: 64, heads: 4, context: 64, batch: 4, rate: 6e-3 },
  tiny: { layers: 2, width: 64, heads: 4, context: 64, batch: 12, rate: 6e-3 },
  small: { layers: 4, width: 128, heads: 4, context: 128, batch: 16, rate: 3e-3 },
  medium: { layers: 6, width: 256, heads: 8, context: 256, batch: 16, rate: 1e-3 },
  large: { layers: 6, width: 384, heads: 6, context: 256, batch: 32, rate: 1e-3 },
} as const;
export type Size = keyof typeof SIZES;

const PARTS = {
  position: { choices: ["rope", "alibi", "t5", "shaw", "kerple", "fire", "absolute", "sinusoidal", "none"], value: "rope", doc: "how tokens know their place" },
  norm: { choices: ["rms", "layer"], value: "rms", doc: "normalisation" },
  "norm-place": { choices: ["pre", "post"], value: "pre", doc: "norm before each sublayer or after each sum" },
  embedding: { choices: ["tied", "untied"], value: "tied", doc: "one table for both ways, or two" },
  "feed-forward": { choices: ["gelu", "gelu-tanh", "relu", "swiglu"], value: "swiglu", doc: "activation" },
  size: { choices: ["auto", ...Object.keys(SIZES)], value: "auto", doc: "a preset of the numbers below; auto probes the adapter" },
} as const;

const NUMBERS = {
  layers: "number of blocks",
  width: "features of the residual stream",
  heads: "query heads",
  "kv-heads": "key and value heads: equal to heads is MHA, 1 is MQA, between is GQA",
  context: "tokens that the model sees at once",
  batch: "windows in a micro-batch",
  accumulate: "micro-batches in an update",
  dropout: "drop probability in training",
  rate: "peak learning rate",
  steps: "updates; left out, as many as fit a minute or two",
  seed: "seed of weights, batches and samples",
} as const;

const COUNT: NumberRange = { least: 1, whole: true };
const RANGES: Partial<Record<keyof typeof NUMBERS, NumberRange>> = {
  dropout: { least: 0, below: 1 },
  rate: { least: 0, above: true },
  // Philox takes a key of 32 bits.
  seed: { least: 0, below: 2 ** 32, whole: true },
};

const WORDS = { text: "a plain-text file to learn instead of Moby-Dick", out: "run folder; default runs/<time>" } as const;
const FLAGS = { resume: "go on from the checkpoint in --out, with its parts and numbers", profile: "print the time of every kernel", help: "this page" } as const;

type PartName = keyof typeof PARTS;
type NumberName = keyof typeof NUMBERS;

export interface Options {
  readonly parts: Readonly<Record<PartName, string>>;
  readonly numbers: Readonly<Partial<Record<NumberName, number>>>;
  /** The parts and numbers that were written, by name. */
  readonly model: readonly string[];
  readonly text: string | undefined;
  readonly out: string | undefined;
  readonly resume: boolean;
  readonly profile: boolean;
  readonly help: boolean;
}

/**
 * Reads a command line.
 *
 * @throws PolyheadError `ARGUMENT_UNKNOWN`, `ARGUMENT_CHOICE`, `ARGUMENT_NUMBER`, `ARGUMENT_VALUE`: naming what was most likely meant.
 */
export function readOptions(args: readonly string[]): Options {
  const { words, flags } = readArguments(args, [...Object.keys(PARTS), ...Object.keys(NUMBERS), ...Object.keys(WORDS)], Object.keys(FLAGS));
  const parts = Object.fromEntries(
    Object.entries(PARTS).map(([name, { choices, value }]) => {
      const given = words[name] ?? value;
      if (!(choices as readonly string[]).includes(given)) throw new PolyheadError("ARGUMENT_CHOICE", `--${name} is '${given}'; expected one of ${choices.join(", ")}`, suggest(given, choices));
      return [name, given];
    }),
  ) as Record<PartName, string>;
  const numbers: Partial<Record<NumberName, number>> = {};
  for (const name of Object.keys(NUMBERS) as NumberName[]) {
    const given = words[name];
    if (given !== undefined) numbers[name] = readNumber(name, given, RANGES[name] ?? COUNT, NUMBERS[name]);
  }
  const model = [...Object.keys(words)].filter((name) => !Object.hasOwn(WORDS, name));
  return { parts, numbers, model, text: words["text"], out: words["out"], resume: flags.has("resume"), profile: flags.has("profile"), help: flags.has("help") };
}

/** A size with the command line's own numbers over it. */
export function configure({ parts, numbers }: Options, size: Size, steps: number): NanoConfig {
  const preset = SIZES[size];
  const heads = numbers.heads ?? preset.heads;
  return {
    position: parts.position as NanoConfig["position"],
    norm: parts.norm as NanoConfig["norm"],
    normPlace: parts["norm-place"] as NanoConfig["normPlace"],
    embedding: parts.embedding as NanoConfig["embedding"],
    feedForward: parts["feed-forward"] as NanoConfig["feedForward"],
    heads,
    kvHeads: numbers["kv-heads"] ?? heads,
    layers: numbers.layers ?? preset.layers,
    width: numbers.width ?? preset.width,
    context: numbers.context ?? preset.context,
    dropout: numbers.dropout ?? 0,
    batch: numbers.batch ?? preset.batch,
    accumulate: numbers.accumulate ?? 1,
    rate: numbers.rate ?? preset.rate,
    steps: numbers.steps ?? steps,
    seed: numbers.seed ?? 1337,
  };
}

/** The same as a spec of the lab, checked strictly. */
export function modelSpec(config: NanoConfig, vocab: number): ReturnType<typeof lab.resolve> {
  const { position, norm, normPlace, embedding, feedForward, heads, kvHeads, layers, width, context, dropout } = config;
  return lab.resolve({
    layers,
    width,
    vocab,
    context,
    dropout,
    attention: { use: "mha", heads, kvHeads },
    position: { use: position === "absolute" ? "learned" : position },
    norm: { use: norm, place: normPlace },
    // GPT-2's 0.02 is made for widths of 768 and more; in a narrow model it delays learning by hundreds of updates.
    embedding: { use: embedding, std: 0.6 / Math.sqrt(width) },
    feedForward: { use: feedForward },
  });
}

export function help(): string {
  const line = (name: string, text: string): string => `  --${name.padEnd(14)} ${text}`;
  return [
    "npm run demo -- [options]   trains a small character model on a book, and shows what it learns",
    "",
    "parts to swap:",
    ...Object.entries(PARTS).map(([name, { choices, value, doc }]) => line(name, `${choices.join(" | ")}  (default ${value}): ${doc}`)),
    "",
    "numbers:",
    ...Object.entries(NUMBERS).map(([name, doc]) => line(name, doc)),
    "",
    "files and switches:",
    ...Object.entries({ ...WORDS, ...FLAGS }).map(([name, doc]) => line(name, doc)),
    "",
    "Ctrl-C ends the update at hand, leaves a checkpoint and a report, prints how to go on, and exits with 0; a second one ends at once.",
  ].join("\n");
}
