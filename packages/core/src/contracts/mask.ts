import type { Capture, Program } from "@polyhead/expr";

/** Every key is allowed. */
export interface FullMask {
  readonly kind: "full";
}

/** Key `kv` is allowed for query `q` if `kv <= q`, in global positions: bottom-right aligned whenever queries are the last rows. */
export interface CausalMask {
  readonly kind: "causal";
}

/** `q - kv <= left` and `kv - q <= right`; a bound of Infinity is open. */
export interface WindowMask {
  readonly kind: "window";
  readonly left: number;
  readonly right: number;
}

/** Causal, except that the first `length` keys are seen by everybody (prefix language model). */
export interface PrefixMask {
  readonly kind: "prefix";
  readonly length: number;
}

/** Query and key must carry the same document id; `ids` is i32 `[T]` or `[B, T]`, indexed by global position. */
export interface DocumentMask {
  readonly kind: "document";
  readonly ids: Capture;
}

/** A boolean program of `b, h, q, kv`. */
export interface CustomMask {
  readonly kind: "custom";
  readonly program: Program;
}

export interface AndMask {
  readonly kind: "and";
  readonly masks: readonly Mask[];
}

export interface OrMask {
  readonly kind: "or";
  readonly masks: readonly Mask[];
}

export interface NotMask {
  readonly kind: "not";
  readonly mask: Mask;
}

/** Who may attend to whom, as a plain frozen value. */
export type Mask =
  | FullMask
  | CausalMask
  | WindowMask
  | PrefixMask
  | DocumentMask
  | CustomMask
  | AndMask
  | OrMask
  | NotMask;
