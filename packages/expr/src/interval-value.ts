import { I32_MAX, I32_MIN } from "./arithmetic.ts";
import { above, below } from "./f32.ts";

/** What is known of a value: it lies between two bounds, both included, or is NaN where that may be. */
export interface Interval {
  /** Booleans are 0 and 1; a bound of ±Infinity includes infinity itself. */
  readonly lo: number;
  readonly hi: number;
  readonly nan: boolean;
}

export const FALSE: Interval = Object.freeze({ lo: 0, hi: 0, nan: false });
export const TRUE: Interval = Object.freeze({ lo: 1, hi: 1, nan: false });
export const EITHER: Interval = Object.freeze({ lo: 0, hi: 1, nan: false });
export const ANY_I32: Interval = Object.freeze({ lo: I32_MIN, hi: I32_MAX, nan: false });
export const ANY_F32: Interval = Object.freeze({ lo: -Infinity, hi: Infinity, nan: true });

/** What a condition's interval says: always true, always false, or that it depends. */
export function truthOf({ lo, hi }: Interval): boolean | "either" {
  return lo === hi ? lo !== 0 : "either";
}

/** Beyond this, sums and products of integers are no longer exact in float64. */
const EXACT = 2 ** 53;
const PERIOD = 2 ** 32;

/**
 * An i32 whose unwrapped value lies between two whole numbers. Values that overflow all alike come out shifted; a range
 * that an overflow tears apart becomes all of i32.
 */
export function wrapped(lo: number, hi: number): Interval {
  if (lo >= I32_MIN && hi <= I32_MAX) return { lo: lo + 0, hi: hi + 0, nan: false };
  const turns = Math.floor((lo - I32_MIN) / PERIOD);
  if (!(lo > -EXACT && hi < EXACT) || turns !== Math.floor((hi - I32_MIN) / PERIOD)) return ANY_I32;
  return { lo: lo - turns * PERIOD, hi: hi - turns * PERIOD, nan: false };
}

/** An f32 between two numbers as any shader may round it; bounds that are NaN stand for nothing known. */
export function rounded(lo: number, hi: number, nan: boolean): Interval {
  if (!(lo <= hi)) return ANY_F32;
  return { lo: below(lo), hi: above(hi), nan };
}

/** The smallest interval that holds both. */
export function hull(a: Interval, b: Interval): Interval {
  return { lo: Math.min(a.lo, b.lo), hi: Math.max(a.hi, b.hi), nan: a.nan || b.nan };
}
