import type { Mask } from "@polyhead/core";
import { conjunctsOf, FAR } from "./mask-bounds.ts";

/** The query rows that a mask can allow for one key: WGSL i32 expressions of `kv`, `params.qOffset` and `params.queries`. Both grow with kv. */
export interface QueryBounds {
  /** No query row below any of these sees the key. */
  readonly lo: readonly string[];
  /** No query row from any of these on sees it. */
  readonly hi: readonly string[];
}

const allRows = "i32(params.queries)";
const literal = (n: number): string => `(${n}i)`;

/** `maskBounds` seen from the other side, for the gradient of keys and values. */
export function queryBounds(mask: Mask): QueryBounds {
  switch (mask.kind) {
    case "causal":
      return { lo: ["kv - params.qOffset"], hi: [] };
    case "window":
      return {
        lo: mask.right < FAR ? [`kv - ${mask.right}i - params.qOffset`] : [],
        hi: mask.left < FAR ? [`kv + ${mask.left + 1}i - params.qOffset`] : [],
      };
    case "prefix":
      return { lo: [`select(kv - params.qOffset, 0i, kv < ${mask.length}i)`], hi: [] };
    case "and": {
      const parts = mask.masks.map(queryBounds);
      return { lo: parts.flatMap(({ lo }) => lo), hi: parts.flatMap(({ hi }) => hi) };
    }
    case "custom": {
      // A bound that does not move with q leaves a key to all queries or to none.
      const { lower, upper } = conjunctsOf(mask.program);
      return {
        lo: upper.map(({ q, offset }) => (q === 1 ? `kv - ${literal(offset)} - params.qOffset` : `select(0i, ${allRows}, kv > ${literal(offset)})`)),
        hi: lower.map(({ q, offset }) => (q === 1 ? `kv + ${literal(1 - offset)} - params.qOffset` : `select(0i, ${allRows}, kv >= ${literal(offset)})`)),
      };
    }
    case "full":
    case "document":
    case "or":
    case "not":
      return { lo: [], hi: [] };
  }
}
