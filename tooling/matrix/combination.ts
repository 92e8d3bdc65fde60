import { createLab, isPolyheadError, problemOf, type Caps, type Mask, type ModelParts, type Plan, type Plugin, type Problem } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { decoder } from "@polyhead/model";
import type { Tensor } from "@polyhead/tensor";
import { ATTENTIONS, KERNELS, MASKS, NORMS, POSITIONS, type AttentionChoice } from "./lists.ts";
import { CONTEXT, SIZES } from "./sizes.ts";

/** The names of one choice on every axis. */
export interface Combination {
  readonly attention: string;
  readonly kernel: string;
  readonly position: string;
  readonly norm: string;
  readonly mask: string;
}

/** The names on every axis, for covering rows. */
export const AXES = {
  attention: ATTENTIONS.map(({ name }) => name),
  kernel: KERNELS.map(({ name }) => name),
  position: POSITIONS.map(({ name }) => name),
  norm: NORMS.map(({ name }) => name),
  mask: Object.keys(MASKS),
} as const;

export const keyOf = ({ attention, position, norm, kernel, mask }: Combination): string => [attention, position, norm, kernel, mask].join(" | ");

/** Every combination; those that differ in the kernel alone follow each other, since they share a reference. */
export function allCombinations(): Combination[] {
  const all: Combination[] = [];
  for (const attention of AXES.attention) for (const position of AXES.position) for (const norm of AXES.norm) for (const mask of AXES.mask) for (const kernel of AXES.kernel) all.push({ attention, position, norm, mask, kernel });
  return all;
}

/** A layer that the lab has put together, kernel apart. */
export interface Assembled {
  readonly attention: AttentionChoice;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly parts: ModelParts<Tensor>;
  readonly mask: Mask;
}

/** What the lab says no to, in its own words. */
export interface Refused {
  readonly refusal: string;
}

const plugins: readonly Plugin[] = [...new Set<Plugin>([decoder, tied, ...[...ATTENTIONS, ...KERNELS, ...POSITIONS, ...NORMS].map(({ plugin }) => plugin)])];
const lab = createLab(...plugins);

function find<T extends { readonly name: string }>(list: readonly T[], name: string): T {
  const found = list.find((one) => one.name === name);
  if (found === undefined) throw new Error(`the lists have no '${name}'; they have ${list.map((one) => one.name).join(", ")}`);
  return found;
}

/** Puts a combination together through the lab, as a model would. */
export function assemble({ attention: attentionName, position, norm, mask: maskName }: Combination): Assembled | Refused {
  const attention = find(ATTENTIONS, attentionName);
  const part = ({ plugin, config }: { readonly plugin: Plugin; readonly config?: Readonly<Record<string, unknown>> }): object => ({ use: String(plugin.name), ...config });
  const mask = MASKS[maskName];
  if (mask === undefined) throw new Error(`the lists have no mask '${maskName}'`);
  const spec: Readonly<Record<string, unknown>> = { layers: 1, width: SIZES.width, vocab: 2, context: CONTEXT, mask, attention: part(attention), position: part(find(POSITIONS, position)), norm: part(find(NORMS, norm)), embedding: { use: tied.name } };
  return orRefused(() => {
    const parts = lab.parts(lab.resolve(spec)) as ModelParts<Tensor>;
    const { heads, kvHeads, headDimQK: headDim } = parts.attention.shape;
    return { attention, heads, kvHeads, headDim, parts, mask };
  });
}

/** The plan of a kernel for what is assembled. */
export function planFor({ parts, mask }: Assembled, kernel: string, caps: Caps, use: Pick<Problem, "backward" | "cache">): Plan | Refused {
  const problem = problemOf(parts, { ...use, mask, dtype: "f32", padded: false, dropout: false, sizes: { batch: SIZES.batch, queries: SIZES.rows, keys: SIZES.rows } });
  return orRefused(() => {
    // Among all kernels first: what is refused is told kernel by kernel, and without the words around it.
    const why = lab.plan(problem, caps).refused.find((one) => one.kernel === kernel)?.why;
    return why === undefined ? lab.plan(problem, caps, kernel) : { refusal: why.join("; ") };
  });
}

function orRefused<T>(work: () => T | Refused): T | Refused {
  try {
    return work();
  } catch (error) {
    if (!isPolyheadError(error)) throw error;
    return { refusal: error.message.replace(/^\[\w+\] /, "").replace(/\n\s*fix: /, "; fix: ") };
  }
}
