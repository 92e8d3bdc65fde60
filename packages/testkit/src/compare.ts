import { PolyheadError } from "@polyhead/core";

/**
 * How close is close enough for `got` against `want`.
 * - `each`: `|got − want| ≤ absolute + relative·|want|`, number by number.
 * - `whole`: `|got − want| ≤ relative·max|want|`: errors relative to the tensor, since sums of cancelling terms have no
 *   relative precision of their own.
 */
export type Rule =
  | { readonly kind: "each"; readonly absolute: number; readonly relative: number }
  | { readonly kind: "whole"; readonly relative: number };

/** ONNX's rule for its operator suite. */
export const ONNX: Rule = { kind: "each", absolute: 1e-7, relative: 1e-3 };
/** ONNX's rule for float16 cases. */
export const ONNX_F16: Rule = { kind: "each", absolute: 2e-3, relative: 2e-3 };
/** f32 results against the float64 reference. */
export const FORWARD: Rule = { kind: "whole", relative: 1e-5 };
/** f32 gradients against the float64 reference. */
export const GRADIENT: Rule = { kind: "whole", relative: 1e-4 };
/** Bit for bit, but for the sign of zero and the payload of NaN. */
export const EXACT: Rule = { kind: "each", absolute: 0, relative: 0 };

/** What a comparison found. */
export interface Comparison {
  readonly pass: boolean;
  /** The largest |got − want|; infinite where only one of the two is finite, or a number. */
  readonly maxError: number;
  /** The largest error in units of what the rule allows: at most 1 when it passes. */
  readonly maxRatio: number;
  readonly failures: number;
  /** The entry furthest beyond what is allowed; undefined for an empty tensor. */
  readonly worst: { readonly index: number; readonly got: number; readonly want: number; readonly allowed: number } | undefined;
}

/** Equal infinities and two NaNs agree; a NaN or an infinity on one side only is an infinite error. */
function distance(got: number, want: number): number {
  if (Object.is(got, want) || got === want) return 0;
  const error = Math.abs(got - want);
  return Number.isNaN(error) ? Infinity : error;
}

/** The largest finite magnitude. */
function largest(numbers: ArrayLike<number>): number {
  let max = 0;
  for (const value of Array.from(numbers)) if (Number.isFinite(value)) max = Math.max(max, Math.abs(value));
  return max;
}

const ratioOf = (error: number, allowed: number): number => (error === 0 ? 0 : error / allowed);

/**
 * Compares two flat tensors of one length.
 *
 * @throws PolyheadError `COMPARE_LENGTH` when the lengths differ.
 */
export function compare(got: ArrayLike<number>, want: ArrayLike<number>, rule: Rule): Comparison {
  if (got.length !== want.length) {
    throw new PolyheadError("COMPARE_LENGTH", `got ${got.length} numbers, want ${want.length}`, "compare tensors of one shape");
  }
  const scale = rule.kind === "whole" ? largest(want) : 0;
  let maxError = 0;
  let maxRatio = 0;
  let failures = 0;
  let worst: Comparison["worst"];
  for (let index = 0; index < want.length; index++) {
    const [a, b] = [got[index]!, want[index]!];
    const error = distance(a, b);
    // An infinite `want` would allow everything; it must be met exactly.
    const allowed = !Number.isFinite(b) ? 0 : rule.kind === "each" ? rule.absolute + rule.relative * Math.abs(b) : rule.relative * scale;
    const ratio = ratioOf(error, allowed);
    maxError = Math.max(maxError, error);
    if (ratio > 1) failures++;
    if (worst === undefined || ratio > maxRatio) worst = { index, got: a, want: b, allowed };
    maxRatio = Math.max(maxRatio, ratio);
  }
  return { pass: failures === 0, maxError, maxRatio, failures, worst };
}

/** The multi-index of a flat row-major index. */
export function unravel(index: number, shape: readonly number[]): number[] {
  let rest = index;
  return shape.toReversed().map((size) => {
    const at = rest % size;
    rest = Math.floor(rest / size);
    return at;
  }).reverse();
}

/** One sentence about a comparison: where the worst entry is, and how far off. */
export function report({ pass, failures, maxError, worst }: Comparison, size: number, shape: readonly number[] = [size]): string {
  if (worst === undefined) return "nothing to compare";
  const at = `[${unravel(worst.index, shape).join(", ")}]`;
  const numbers = `got ${worst.got}, want ${worst.want} (off by ${distance(worst.got, worst.want).toPrecision(3)}, allowed ${worst.allowed.toPrecision(3)})`;
  return pass ? `all ${size} agree, largest error ${maxError.toPrecision(3)}` : `${failures} of ${size} differ, worst at ${at}: ${numbers}`;
}

export interface CloseOptions {
  /** Default: `FORWARD`. */
  readonly rule?: Rule;
  readonly shape?: readonly number[];
  /** Names the tensor in the error. */
  readonly label?: string;
}

/**
 * Returns the comparison of `got` with `want` if it passes.
 *
 * @throws PolyheadError `COMPARE_MISMATCH`, with the worst entry's place, both numbers and what was allowed.
 */
export function assertClose(got: ArrayLike<number>, want: ArrayLike<number>, { rule = FORWARD, shape, label = "the result" }: CloseOptions = {}): Comparison {
  const found = compare(got, want, rule);
  if (found.pass) return found;
  throw new PolyheadError("COMPARE_MISMATCH", `${label}: ${report(found, want.length, shape)}`, "look at that entry first: its index says which row, head or edge went wrong");
}
