import { UnsupportedCase } from "../unsupported.ts";

/** What the index of `flash-shapes` says of a case: sizes, and what is done to the scores. */
export interface FlashAttributes {
  readonly B: number;
  readonly H: number;
  readonly HK: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  readonly Dv: number;
  /** Query row i sees the keys up to row i, or up to row i + Tk − Tq. */
  readonly causal: "top-left" | "bottom-right" | null;
  /** How far a query sees to the left and to the right; negative: without end. */
  readonly window: readonly [number, number] | null;
  /** Scores become cap · tanh(score / cap), before the other modifiers. */
  readonly softcap: number | null;
  readonly alibi: boolean;
  /** Kind of the tensor `in.mask`: where true (`bool`) a key is seen; numbers are added to the scores. */
  readonly mask: string | null;
  readonly scale: number;
  /** Lengths of the documents packed into a row; `in.segment_ids` says the same by position. */
  readonly segments: readonly number[] | null;
}

type Check = (value: unknown) => boolean;

const isCount: Check = (value) => Number.isInteger(value) && (value as number) >= 0;
const orNull = (check: Check): Check => (value) => value === null || check(value);
const isNumber: Check = (value) => typeof value === "number";
const isNumbers: Check = (value) => Array.isArray(value) && value.every(isNumber);

const CHECKS: Readonly<Record<keyof FlashAttributes, Check>> = {
  B: isCount,
  H: isCount,
  HK: isCount,
  Tq: isCount,
  Tk: isCount,
  D: isCount,
  Dv: isCount,
  causal: (value) => value === null || value === "top-left" || value === "bottom-right",
  window: orNull((value) => isNumbers(value) && (value as unknown[]).length === 2),
  softcap: orNull(isNumber),
  alibi: (value) => typeof value === "boolean",
  mask: orNull((value) => typeof value === "string"),
  scale: isNumber,
  segments: orNull(isNumbers),
};

/** @throws UnsupportedCase naming an attribute that is unknown, missing or of another kind: what is not understood is not run. */
export function flashAttributes(given: Readonly<Record<string, unknown>>): FlashAttributes {
  const unknown = Object.keys(given).find((name) => !(name in CHECKS));
  if (unknown !== undefined) throw new UnsupportedCase(`attribute ${unknown}`);
  for (const [name, check] of Object.entries(CHECKS)) if (!check(given[name])) throw new UnsupportedCase(`attribute ${name} of ${JSON.stringify(given[name])}`);
  return given as unknown as FlashAttributes;
}
