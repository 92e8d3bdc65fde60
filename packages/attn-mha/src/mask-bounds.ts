import type { Mask } from "@polyhead/core";

/** The key rows that a mask can allow for one query: WGSL i32 expressions of `q` and `params.kvOffset`. */
export interface MaskBounds {
  /** No key row below any of these is allowed. */
  readonly lo: readonly string[];
  /** No key row from any of these on is allowed. */
  readonly hi: readonly string[];
  /** Every key row in between is allowed, so the mask need not be evaluated. */
  readonly exact: boolean;
}

/** Beyond this a window is open: q ± n must not overflow an i32. */
const FAR = 2 ** 30;

/** Reads off a mask which keys it never allows, so that a kernel can leave them out. */
export function maskBounds(mask: Mask): MaskBounds {
  switch (mask.kind) {
    case "full":
      return { lo: [], hi: [], exact: true };
    case "causal":
      return { lo: [], hi: ["q + 1i - params.kvOffset"], exact: true };
    case "window":
      return {
        lo: mask.left < FAR ? [`q - ${mask.left}i - params.kvOffset`] : [],
        hi: mask.right < FAR ? [`q + ${mask.right + 1}i - params.kvOffset`] : [],
        exact: true,
      };
    case "prefix":
      return { lo: [], hi: [`max(q + 1i, ${mask.length}i) - params.kvOffset`], exact: true };
    case "and": {
      const parts = mask.masks.map(maskBounds);
      return { lo: parts.flatMap(({ lo }) => lo), hi: parts.flatMap(({ hi }) => hi), exact: parts.every(({ exact }) => exact) };
    }
    case "document":
    case "custom":
    case "or":
    case "not":
      return { lo: [], hi: [], exact: false };
  }
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
