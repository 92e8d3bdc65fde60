import { defineKernelPlugin, PolyheadError, type Communicator, type KernelInputs, type KernelPlugin, type LoweredProblem } from "@polyhead/core";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import type { Tensor } from "@polyhead/tensor";
import type { WholeLengths } from "./call.ts";
import { Coordinates } from "./coordinates.ts";
import { headsAttention } from "./heads-attention.ts";
import { checkLayout, type RingLayout } from "./layout.ts";
import type { RingObserver } from "./planning/timeline.ts";
import { ringAttention } from "./ring-attention.ts";
import { Schedules } from "./schedule.ts";

/**
 * How ranks get what they do not hold.
 *
 * - `ring`: keys and values go around (Liu et al., 2023). Any number of ranks; sends K/V heads only.
 * - `heads`: an all-to-all gives each rank the whole sequence of some heads, and another one brings the outputs back (Jacobs et al., 2023,
 *   arXiv:2309.14509, "Ulysses"). As many ranks as K/V heads divide by.
 */
export type RingScheme = "ring" | "heads";

export interface RingOptions {
  /** The ranks that share a sequence. */
  readonly communicator: Communicator;
  /** Default `zigzag`, which is even under a causal mask. */
  readonly layout?: RingLayout;
  /** Default `ring`. */
  readonly scheme?: RingScheme;
  /** Tokens of the whole sequence; default as many on every rank as here. Needed where they do not divide. */
  readonly length?: number | WholeLengths;
  /** Is told of every stretch of work. */
  readonly observe?: RingObserver;
}

/**
 * Attention over the ranks of a communicator, as a kernel: q, k and v are this rank's rows, in the order of `piecesOf(layout, rank, ranks, length)`.
 * Every rank must run the same calls in the same order, forward and backward.
 *
 * Gradients of q, k and v are whole; those of parameters, learned tables among them, are this rank's part, to be summed over ranks.
 *
 * @throws PolyheadError `RING_LAYOUT`, `RING_SCHEME`.
 */
export function ring(options: RingOptions): KernelPlugin<"ring", Tensor> {
  const { communicator, layout = "zigzag", scheme = "ring", observe } = options;
  const { size } = communicator;
  checkLayout(layout);
  if (!SCHEMES.includes(scheme)) throw new PolyheadError("RING_SCHEME", `scheme is ${JSON.stringify(scheme)}`, `one of ${SCHEMES.join(", ")}`);
  const schedules = new Schedules({ layout, ranks: size });
  const coordinates = new Coordinates(1, "some");
  return defineKernelPlugin({
    name: "ring",
    // Whoever makes a ring wants it.
    preference: 50,
    ranks: size,
    // The rows of a rank lie at positions of their own, which a prepass is told.
    lower: (hook) => (hook.site === "score" ? "inline" : "prepass"),
    unsupported: (problem) => (size === 1 ? alone(problem) : [...alone(problem), ...together(problem, scheme, size)]),
    notes: ({ kvHeads }) => [`${size} ranks, ${scheme === "ring" ? `keys and values go around, layout '${layout}'` : `an all-to-all gives each rank ${kvHeads / size} of ${kvHeads} key heads`}, over communicator '${communicator.kind}'`],
    run: (inputs) => {
      if (size === 1) return flashAttention(inputs);
      const lengths = wholeLengths(options, inputs);
      return scheme === "ring" ? ringAttention(inputs, { communicator, layout, lengths, schedules, observe }) : headsAttention(inputs, { communicator, layout, lengths, coordinates });
    },
  });
}

const SCHEMES: readonly RingScheme[] = ["ring", "heads"];

function wholeLengths({ length, communicator: { size } }: RingOptions, { q, k }: KernelInputs<Tensor>): WholeLengths {
  if (length === undefined) return { queries: q.shape[2]! * size, keys: k.shape[2]! * size };
  return typeof length === "number" ? { queries: length, keys: length } : length;
}

const alone = ({ dropout }: LoweredProblem): string[] => (dropout ? ["attention dropout is on, which the unfused kernel alone applies"] : []);

function together({ cache, score, how, kvHeads }: LoweredProblem, scheme: RingScheme, size: number): string[] {
  return [
    ...(cache === "none" ? [] : ["keys of earlier calls are kept on one device, and a ring shares them out"]),
    ...score.filter(({ id }) => how[id] === "tensor").map(({ id }) => `hook '${id}' is lowered to a bias tensor, and no rank has all keys`),
    ...score.filter(({ queries }) => queries !== undefined).map(({ id }) => `hook '${id}' reads the queries, whose products with its rows are made for one device's rows`),
    ...(scheme === "heads" && kvHeads % size !== 0 ? [`${kvHeads} key heads cannot be shared out among ${size} ranks; scheme 'ring' can`] : []),
  ];
}
