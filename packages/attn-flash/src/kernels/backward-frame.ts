// What backward kernels share beside kernels/frame.ts: g and ld, and where gradients go.
//   dq    out [B, Hq, Tq, D]                                ds  out [B, Hq, Tq, Tk]: gradient of scores, zeroed beforehand
//   dkv   out [B, Hkv, Tk, D] and then [B, Hkv, Tk, Dv], which starts at group `dvAt`
import { wgsl, type BindingSpec, type ParamType } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";
import type { GradientCell } from "./cells.ts";
import { inputBindings } from "./frame.ts";

/** A gradient of scores written out, for what is added to them or learned by hooks: before or after the hooks. */
export type ScoreGradient = "before" | "after";

/** What a walk of queries over keys gives: dq, the gradient of scores, or the scores that hooks are given, where weights are not 0. */
export type Emit = "dq" | ScoreGradient | "scores";

export const BACKWARD_PARAMS: Readonly<Record<string, ParamType>> = { keyRows: "u32", dvAt: "u32", gAt: "u32", gB: "u32", gH: "u32", gT: "u32" };

export const backwardBindings = (form: FlashForm): Record<string, BindingSpec> => ({ ...inputBindings(form), g: "read array<vec4f>", ld: "read array<vec2f>" });

/**
 * Declares what a workgroup of `rows` rows of k from row0 on walks over: rows lo … hi of q. Between edgeLo and edgeHi all of
 * its keys are seen, unless edgeRows. Rows firstJ … lastJ of k may be read.
 */
export const queryWalk = (rows: number): string => wgsl`
  let firstJ = firstKey(b);
  let lastJ = max(endKey(b), 1i) - 1i;
  let kvFirst = i32(row0) + params.kvOffset;
  let kvLast = kvFirst + ${rows - 1}i;
  let lo = queryLo(kvFirst);
  let hi = select(0i, queryHi(kvLast), i32(row0) < endKey(b) && i32(row0) + ${rows}i > firstJ);
  let edgeLo = queryLo(kvLast);
  let edgeHi = queryHi(kvFirst);
  let edgeRows = i32(row0) < firstJ || i32(row0) + ${rows}i > endKey(b);`;

/** Stores one cell of an array of scores, in the row `line` of all query rows. */
export const storeCell = ({ raw, h, i, j, p, e }: GradientCell, emit: Emit, exists: string, line: string): string =>
  `if (${exists} && ${p} > 0.0) { out[${line} * params.keyRows + ${j}] = ${emit === "scores" ? `withBias(${raw}, b, ${h}, ${i}, ${j})` : e}; }`;
