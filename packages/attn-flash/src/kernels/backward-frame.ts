// What backward kernels share beside kernels/frame.ts: g and ld, and where gradients go.
//   dq    out [B, Hq, Tq, D]                                ds  out [B, Hq, Tq, Tk]: gradient of scores, zeroed beforehand
//   dkv   out [B, Hkv, Tk, D] and then [B, Hkv, Tk, Dv], which starts at group `dvAt`
import { wgsl, type BindingSpec, type ParamType } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";
import { learnCells, type GradientCell } from "./cells.ts";
import { inputBindings } from "./frame.ts";

/**
 * What a walk of queries over keys gives: dq; the gradient of scores before the hooks, for a bias; or the gradients of tables that
 * hooks learn.
 */
export type Emit = "dq" | "ds" | "learn";

export const BACKWARD_PARAMS: Readonly<Record<string, ParamType>> = { keyRows: "u32", dvAt: "u32", scaleAt: "u32", gAt: "u32", gB: "u32", gH: "u32", gT: "u32" };

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

/** What a query walk writes into. */
export const outputOf = (emit: Emit, dq: string): BindingSpec => (emit === "learn" ? "write array<atomic<u32>>" : `write array<${emit === "dq" ? dq : "f32"}>`);

/** Whether the derivative of the hooks is a factor of what is emitted. */
export const wantsSlope = ({ program }: FlashForm, emit: Emit): boolean => program.slope !== undefined && emit !== "learn";

/** Where cells of a query walk go that are not summed to dq. `exists` and `line`: whether cell n is of a row of its own, and its number over all query rows. */
export function giveCells(form: FlashForm, emit: Exclude<Emit, "dq">, cells: readonly GradientCell[], exists: (n: number) => string, line: (n: number) => string): string[] {
  if (emit === "learn") return learnCells(form, cells, exists);
  return cells.map(({ j, p, e }, n) => `if ((${exists(n)}) & (${p} > 0.0)) { out[${line(n)} * params.keyRows + ${j}] = ${e}; }`);
}

/** The end of a query walk that sums nothing of its own. */
export const learnt = (emit: Emit): string => (emit === "learn" ? "learnEnd();" : "");
