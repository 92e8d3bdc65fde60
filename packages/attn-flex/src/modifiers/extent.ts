import { PolyheadError } from "@polyhead/core";

/** @throws PolyheadError `FLEX_EXTENT` unless `value` is a whole number of at least `least`. */
export function extent(modifier: string, name: string, value: number, least = 1): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new PolyheadError("FLEX_EXTENT", `${name} of ${modifier} is ${String(value)}; expected a whole number of at least ${String(least)}`, `set ${name} to a number of positions`);
}
