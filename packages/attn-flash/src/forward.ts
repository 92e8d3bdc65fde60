import type { KernelOutputs } from "@polyhead/core";
import { flatGrid, numberOf, type Scalar } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { inputSlices, spanOf, type Call } from "./call.ts";
import { combine } from "./kernels/combine.ts";
import { forwardKernel } from "./kernels/family.ts";
import { rowsOf, type FlashForm, type FusedTemplate } from "./spec.ts";

/** See `FRAME_PARAMS`. */
export const tripCounts = ({ d, dv }: Pick<FlashForm, "d" | "dv">, t: FusedTemplate): Record<string, number> => ({ depth: d / 4, depthV: dv / 4, lanes: t.kind === "subgroup" ? t.lanes : t.kind === "tile" ? t.x : 1, sets: t.keys, cells: t.keys * (t.kind === "row" ? 1 : t.rows) });

/** o `[B, Hq, Tq, Dv]` and lse of a call. The memory of o is `[B, Tq, Hq, Dv]`, so that joining the heads is no copy. */
export function runForward(call: Call, template: FusedTemplate, splits: number): KernelOutputs<Tensor> {
  const { form, q, B, Hq, Hkv, Tq, scalars } = call;
  const { engine } = q;
  const { gpu } = engine;
  const quads = form.dv / 4;
  const tiles = Math.ceil(numberOf(scalars["rows"]!) / rowsOf(template));
  const rows = B * Hq * Tq;
  const split = splits > 1;
  const memory = engine.empty([B, Tq, Hq, form.dv]);
  const lse = engine.empty([B, Hq, Tq]);
  const [parts, partLse] = split ? [engine.empty([splits, B, Tq, Hq, form.dv]), engine.empty([splits, B, Hq, Tq])] : [memory, lse];
  const strides: Record<string, Scalar> = { ...tripCounts(form, template), tiles, splits, span: spanOf(scalars["keys"]!, splits), oS: rows * quads, oB: Tq * Hq * quads, oH: quads, oT: Hq * quads };
  const bindings = { ...inputSlices(call), o: parts.slice(), lse: partLse.slice() };
  gpu.dispatch(forwardKernel(form, template, split), bindings, { ...scalars, ...strides }, [tiles, form.packed ? Hkv : Hq, B * splits]);
  if (split) {
    const count = rows * quads;
    gpu.dispatch(combine, { parts: parts.slice(), partLse: partLse.slice(), o: memory.slice(), lse: lse.slice() }, { count, quads, heads: Hq, queries: Tq, splits, rows, minusInfinity: -Infinity }, flatGrid(count, 64));
  }
  return { o: memory.permute([0, 2, 1, 3]), lse };
}
