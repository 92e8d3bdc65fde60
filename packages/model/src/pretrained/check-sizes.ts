import { PolyheadError, type ResolvedSpec } from "@polyhead/core";
import type { TensorStore } from "./tensor-store.ts";

/** Positions for which tables may be made: more than any published model was trained for, and as much as a host can take. */
const MOST_POSITIONS = 1 << 20;

/** Sizes of a spec that are rows or columns of some weight. */
const IN_WEIGHTS: Readonly<Record<string, readonly string[]>> = {
  attention: ["heads", "kvHeads", "headDim", "kvRank", "queryRank", "nopeDim", "ropeDim", "valueDim"],
  feedForward: ["width"],
  experts: ["routed", "active", "width", "shared"],
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null;

const tooLarge = (message: string): PolyheadError => new PolyheadError("PRETRAINED_SHAPE", message, "use the config.json that came with these weights");

/**
 * Compares the sizes of a spec with what its files can hold, before anything is made of that size: a config that asks for a billion
 * layers costs a comparison.
 *
 * @throws PolyheadError `PRETRAINED_SHAPE`; `PRETRAINED_CONTEXT` for more positions than tables are made for.
 */
export function checkSizes(spec: ResolvedSpec, store: TensorStore): void {
  const largest = store.names.reduce((most, name) => Math.max(most, store.entry(name).size), 0);
  const check = (path: string, value: unknown, most: number, what: string): void => {
    if (typeof value === "number" && value > most) throw tooLarge(`the config asks for ${path} ${value}; ${what}`);
  };
  const inAll = `${store.label} holds ${store.names.length} tensors`;
  check("layers", spec.layers, store.names.length, inAll);
  const { encoder } = spec;
  if (isRecord(encoder)) check("encoder.layers", encoder["layers"], store.names.length, inAll);
  const inOne = `the largest tensor of ${store.label} has ${largest} elements`;
  check("width", spec.width, largest, inOne);
  check("vocab", spec.vocab, largest, inOne);
  for (const [part, keys] of Object.entries(IN_WEIGHTS)) {
    const given = spec[part];
    if (isRecord(given)) for (const key of keys) check(`${part}.${key}`, given[key], largest, inOne);
  }
  const { context, position: { maxDistance } } = spec;
  if (context > MOST_POSITIONS) {
    throw new PolyheadError("PRETRAINED_CONTEXT", `the config asks for a context of ${context} positions; tables are made for at most ${MOST_POSITIONS}`, "load it with a context of your own: overrides: { context: 8192 }");
  }
  check("distances up to", maxDistance, MOST_POSITIONS, `tables are made for at most ${MOST_POSITIONS}`);
}
