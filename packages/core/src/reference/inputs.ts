import type { QkHook, ScoreHook } from "../contracts/hooks.ts";
import type { Mask } from "../contracts/mask.ts";
import type { Params64 } from "../contracts/params.ts";
import { PolyheadError } from "../errors.ts";
import type { Array64 } from "./array.ts";

/** What the reference attention computes. It accepts every legal combination. */
export interface ReferenceInputs {
  /** `[B, Hq, Tq, D]`. */
  readonly q: Array64;
  /** `[B, Hkv, Tk, D]`; Hkv divides Hq. */
  readonly k: Array64;
  /** `[B, Hkv, Tk, Dv]`. */
  readonly v: Array64;
  /** Required, so that it cannot be forgotten. */
  readonly mask: Mask;
  /** Default 1/√D. */
  readonly scale?: number;
  /** In the order in which they act, on rows of q and k. */
  readonly qk?: readonly QkHook[];
  /** Parameters of the qk hooks, by hook id. */
  readonly qkParams?: Readonly<Record<string, Params64>>;
  /** In the order in which they act, on scaled scores. */
  readonly score?: readonly ScoreHook[];
  /** Added to the scaled scores before the score hooks: each axis of `[B, Hq, Tq, Tk]` may be 1. */
  readonly bias?: Array64;
  /** Added after the score hooks, as a float mask is; −∞ forbids a key. Each axis of `[B, Hq, Tq, Tk]` may be 1. */
  readonly additiveMask?: Array64;
  /** Non-zero where the key is allowed; joins the mask. Each axis of `[B, Hq, Tq, Tk]` may be 1. */
  readonly keep?: { readonly data: ArrayLike<number>; readonly shape: readonly number[] };
  /** Global position of row 0 of q, or one for each batch row. Default 0. */
  readonly qOffset?: number | ArrayLike<number>;
  /** Global position of row 0 of k. Default 0. */
  readonly kvOffset?: number;
  /** Positions that the qk hooks see instead of `qOffset + row`: `[B, Tq]`. */
  readonly qPositions?: ArrayLike<number>;
  /** Positions that the qk hooks see instead of `kvOffset + row`: `[B, Tk]`. */
  readonly kvPositions?: ArrayLike<number>;
  /** First allowed row of k, `[B]`. */
  readonly starts?: ArrayLike<number>;
  /** One past the last allowed row of k, `[B]`. */
  readonly lengths?: ArrayLike<number>;
}

/** The sizes of a problem, checked. */
export interface Sizes {
  readonly B: number;
  readonly Hq: number;
  readonly Hkv: number;
  /** Query heads a key head. */
  readonly group: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  readonly Dv: number;
}

const text = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

function refuse(what: string, expected: string): never {
  throw new PolyheadError("REF_SHAPE", `${what}; expected ${expected}`, "reshape the inputs as the types of ReferenceInputs say");
}

function checkBroadcast(name: string, shape: readonly number[], full: readonly number[]): void {
  const fits = shape.length === 4 && shape.every((n, axis) => n === 1 || n === full[axis]);
  if (!fits) refuse(`${name} is ${text(shape)}`, `${text(full)} with any axis 1`);
}

function checkCount(name: string, values: ArrayLike<number> | undefined, count: number): void {
  if (values !== undefined && values.length !== count) refuse(`${name} has ${String(values.length)} numbers`, String(count));
}

/** @throws PolyheadError REF_SHAPE naming the offending input and shape. */
export function checkSizes(inputs: ReferenceInputs): Sizes {
  const { q, k, v } = inputs;
  for (const [name, array] of Object.entries({ q, k, v })) if (array.shape.length !== 4) refuse(`${name} is ${text(array.shape)}`, "4 axes: batch, head, row, feature");
  const [B = 0, Hq = 0, Tq = 0, D = 0] = q.shape;
  const [Bk, Hkv = 0, Tk = 0, Dk] = k.shape;
  const [Bv, Hv, Tv, Dv = 0] = v.shape;
  if (Bk !== B || Dk !== D) refuse(`q is ${text(q.shape)} and k is ${text(k.shape)}`, "the same batch and feature size");
  if (Bv !== B || Hv !== Hkv || Tv !== Tk) refuse(`k is ${text(k.shape)} and v is ${text(v.shape)}`, "the same batch, heads and rows");
  if (!(Hkv >= 1 && Hq % Hkv === 0)) refuse(`q has ${String(Hq)} heads and k has ${String(Hkv)}`, "a whole number of query heads a key head");
  const full = [B, Hq, Tq, Tk];
  if (inputs.bias !== undefined) checkBroadcast("bias", inputs.bias.shape, full);
  if (inputs.additiveMask !== undefined) checkBroadcast("additiveMask", inputs.additiveMask.shape, full);
  if (inputs.keep !== undefined) checkBroadcast("keep", inputs.keep.shape, full);
  if (typeof inputs.qOffset === "object") checkCount("qOffset", inputs.qOffset, B);
  checkCount("qPositions", inputs.qPositions, B * Tq);
  checkCount("kvPositions", inputs.kvPositions, B * Tk);
  checkCount("starts", inputs.starts, B);
  checkCount("lengths", inputs.lengths, B);
  return { B, Hq, Hkv, group: Hq / Hkv, Tq, Tk, D, Dv };
}

/** Global position of row 0 of q in batch row `b`. */
export function queryOffset({ qOffset = 0 }: ReferenceInputs, b: number): number {
  return typeof qOffset === "number" ? qOffset : (qOffset[b] ?? 0);
}
