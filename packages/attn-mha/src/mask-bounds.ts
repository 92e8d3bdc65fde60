import { affineConjuncts, custom, type AffineConjuncts, type KeyBound, type Mask, type Program } from "@polyhead/core";

/** The key rows that a mask can allow for one query: WGSL i32 expressions of `q` and `params.kvOffset`. Both grow with q. */
export interface MaskBounds {
  /** No key row below any of these is allowed. */
  readonly lo: readonly string[];
  /** No key row from any of these on is allowed. */
  readonly hi: readonly string[];
  /** What must hold of a key row in between, all of it. */
  readonly rest: readonly Mask[];
  /** Every key row in between is allowed, so the mask need not be evaluated. */
  readonly exact: boolean;
}

/** Beyond this a bound is open: q ± n must not overflow an i32. */
export const FAR: number = 2 ** 30;

const none = { lo: [], hi: [] } as const;
const exactly = (bounds: Partial<Pick<MaskBounds, "lo" | "hi">>): MaskBounds => ({ ...none, ...bounds, rest: [], exact: true });

/** Reads off a mask which keys it never allows, so that a kernel can leave them out. Positions are taken to be below 2³⁰. */
export function maskBounds(mask: Mask): MaskBounds {
  switch (mask.kind) {
    case "full":
      return exactly({});
    case "causal":
      return exactly({ hi: ["q + 1i - params.kvOffset"] });
    case "window":
      return exactly({
        lo: mask.left < FAR ? [`q - ${mask.left}i - params.kvOffset`] : [],
        hi: mask.right < FAR ? [`q + ${mask.right + 1}i - params.kvOffset`] : [],
      });
    case "prefix":
      return exactly({ hi: [`max(q + 1i, ${mask.length}i) - params.kvOffset`] });
    case "and": {
      const parts = mask.masks.map(maskBounds);
      const rest = parts.flatMap((part) => part.rest);
      return { lo: parts.flatMap(({ lo }) => lo), hi: parts.flatMap(({ hi }) => hi), rest, exact: rest.length === 0 };
    }
    case "custom": {
      const { lower, upper, rest } = conjunctsOf(mask.program);
      const row = ({ q, offset }: KeyBound, past: 0 | 1): string => `${q === 1 ? "q + " : ""}(${offset + past}i) - params.kvOffset`;
      return { lo: lower.map((bound) => row(bound, 0)), hi: upper.map((bound) => row(bound, 1)), rest: rest === undefined ? [] : [rest], exact: rest === undefined };
    }
    case "document":
    case "or":
    case "not":
      return { ...none, rest: [mask], exact: false };
  }
}

interface Conjuncts extends Pick<AffineConjuncts, "lower" | "upper"> {
  readonly rest: Mask | undefined;
}

const known = new WeakMap<Program, Conjuncts>();

/** The bounds of a mask of one's own that can bind at all, and a mask for what they do not say. */
export function conjunctsOf(program: Program): Conjuncts {
  let found = known.get(program);
  if (found === undefined) {
    const { lower, upper, rest } = affineConjuncts(program);
    known.set(program, (found = { lower: lower.filter(({ offset }) => offset > -FAR), upper: upper.filter(({ offset }) => offset < FAR), rest: rest && custom(rest) }));
  }
  return found;
}

/** How many rows before its own a query may see at most: what a sliding cache must keep. */
export function lookback(mask: Mask): number {
  switch (mask.kind) {
    case "window":
      return mask.left;
    case "and":
      return Math.min(Infinity, ...mask.masks.map(lookback));
    case "or":
      return Math.max(0, ...mask.masks.map(lookback));
    case "full":
    case "causal":
    case "prefix":
    case "document":
    case "custom":
    case "not":
      return Infinity;
  }
}
