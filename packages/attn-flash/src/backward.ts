import { flatGrid } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { inputSlices, type Call } from "./call.ts";
import { tripCounts } from "./forward.ts";
import type { Emit } from "./kernels/backward-frame.ts";
import { delta } from "./kernels/delta.ts";
import { dkvKernel, dqKernel, valueNormsKernel } from "./kernels/family.ts";
import { learnFinish } from "./kernels/learn-finish.ts";
import { learnedElements, LOW_START } from "./kernels/learn.ts";
import { learnScale } from "./kernels/learn-scale.ts";
import { operandOf, strideScalars } from "./operands.ts";
import { rowsOf, type FusedTemplate } from "./spec.ts";

/** What the passes of backward have in common. */
export interface BackwardCall {
  readonly call: Call;
  /** `[B, Hq, Tq, Dv]`, as rows. */
  readonly g: Tensor;
  /** Pairs of log2-sum-exp and Δ of all rows, and room for one more. */
  readonly ld: Tensor;
}

/** Of every row, Σ g · o less the gradient of its log-sum-exp, as part of `ld`; where hooks learn, also the pair of |g| and |Δ|. */
export function runDelta(call: Call, { o, lse, g, dlse, learns }: { readonly o: Tensor; readonly lse: Tensor; readonly g: Tensor; readonly dlse: Tensor | undefined; readonly learns: boolean }): { readonly ld: Tensor; readonly rows: Tensor | undefined } {
  const { B, Hq, Tq, form } = call;
  const { engine } = o;
  const count = B * Hq * Tq;
  // One pair more: the scale of what hooks learn.
  const ld = engine.empty([count + 1, 2]);
  const rows = learns ? engine.empty([count, 2]) : undefined;
  const [og, gg] = [operandOf(o), operandOf(g)];
  const scalars = { count, quads: form.dv / 4, heads: Hq, queries: Tq, ...strideScalars("o", og), ...strideScalars("g", gg) };
  engine.gpu.dispatch(delta({ dlse: dlse !== undefined, rows: learns }), { o: og.slice, g: gg.slice, lse: lse.slice(), ...(dlse && { dlse: dlse.contiguous().slice() }), ld: ld.slice(), ...(rows && { rows: rows.slice() }) }, scalars, flatGrid(count, 64));
  return { ld, rows };
}

const common = ({ call, g }: BackwardCall, template: FusedTemplate, rows: number) => {
  const { form, scalars, Tk } = call;
  const gradient = operandOf(g);
  return {
    slices: { ...inputSlices(call), g: gradient.slice },
    scalars: { ...scalars, ...tripCounts(form, template), keyRows: Tk, dvAt: 0, scaleAt: call.B * call.Hq * call.Tq, tiles: Math.ceil(rows / rowsOf(template)), splits: 1, span: 0, ...strideScalars("g", gradient) },
  };
};

/** Walks queries over keys, and writes what is asked for into `out`. */
function walkQueries(backward: BackwardCall, template: FusedTemplate, emit: Emit, out: Tensor): Tensor {
  const { call, ld } = backward;
  const { slices, scalars } = common(backward, template, call.Tq);
  out.engine.gpu.dispatch(dqKernel(call.form, template, emit), { ...slices, ld: ld.slice(), out: out.slice() }, scalars, [scalars.tiles, call.Hq, call.B]);
  return out;
}

/** Gradient of q `[B, Hq, Tq, D]`; as the kernel sees it, where a hook turned q. */
export function runDq(backward: BackwardCall, template: FusedTemplate): Tensor {
  const { form, q, B, Hq, Tq } = backward.call;
  return walkQueries(backward, template, "dq", q.engine.empty([B, Hq, Tq, form.d]));
}

/** Gradient of the scores before the hooks `[B, Hq, Tq, Tk]`, 0 where a key is not allowed: for a bias, which may be as large. */
export function runDs(backward: BackwardCall, template: FusedTemplate): Tensor {
  const { q, B, Hq, Tq, Tk } = backward.call;
  return walkQueries(backward, template, "ds", q.engine.zeros([B, Hq, Tq, Tk]));
}

/**
 * Gradients of the tables that hooks learn, end to end in the order of `learnedTables`. Memory: eight bytes an element, and a number or two a row.
 * `rows` are those of {@link runDelta}.
 * NaN where a derivative of the score by an element passes 2^STEEPEST.
 */
export function runLearn(backward: BackwardCall, rows: Tensor, template: FusedTemplate): Tensor {
  const { call, ld } = backward;
  const { form, q, B, Hq, Hkv, Tq, Tk, scalars } = call;
  const { engine } = q;
  const { gpu } = engine;
  const [rowCount, valueCount, count] = [B * Hq * Tq, B * Hkv * Tk, learnedElements(form)];
  const values = engine.empty([valueCount]);
  gpu.dispatch(valueNormsKernel(form), { ...inputSlices(call), values: values.slice() }, { ...scalars, ...tripCounts(form, template), tiles: 1, splits: 1, span: 0, keyRows: Tk, count: valueCount }, flatGrid(valueCount, 64));
  gpu.dispatch(learnScale, { rows: rows.slice(), values: values.slice(), ld: ld.slice() }, { rowCount, valueCount, scaleAt: rowCount }, [1, 1, 1]);
  const sums = walkQueries(backward, template, "learn", engine.full([2 * count + 1], LOW_START, "u32"));
  const out = engine.empty([count]);
  gpu.dispatch(learnFinish, { sums: sums.slice(), ld: ld.slice(), gradient: out.slice() }, { count, scaleAt: rowCount }, flatGrid(count, 64));
  return out;
}

/** Gradients of k `[B, Hkv, Tk, D]` and v `[B, Hkv, Tk, Dv]`. */
export function runDkv(backward: BackwardCall, template: FusedTemplate): { readonly dk: Tensor; readonly dv: Tensor } {
  const { call, ld } = backward;
  const { form, q, B, Hkv, Tk } = call;
  const { slices, scalars } = common({ ...backward, call: { ...call, tables: call.tablesOfKeys ?? call.tables } }, template, Tk);
  const rows = B * Hkv * Tk;
  // One buffer for both: WebGPU promises eight.
  const both = q.engine.empty([rows * (form.d + form.dv)]);
  q.engine.gpu.dispatch(dkvKernel(form, template), { ...slices, ld: ld.slice(), out: both.slice() }, { ...scalars, dvAt: (rows * form.d) / 4 }, [scalars.tiles, Hkv, B]);
  const part = (size: number, offset: number): Tensor => both.view({ shape: [B, Hkv, Tk, size], strides: [Hkv * Tk * size, Tk * size, size, 1], offset });
  return { dk: part(form.d, 0), dv: part(form.dv, rows * form.d) };
}
