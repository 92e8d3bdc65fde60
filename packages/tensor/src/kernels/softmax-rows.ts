// Softmax of each row of x [rows, length], or its logarithm, and the way back.
//   a row is read three times: maximum, sum of exponentials, result
//   a row of −∞ alone has no largest finite number: its softmax is 0, its logarithm −∞
import { defineKernel, kernelFamily, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { rowGrid, rowHelpers, rowMain, rowPlan, rowType, type RowPlan } from "./rows.ts";

interface Variant extends RowPlan {
  readonly log: boolean;
}

const forward = kernelFamily(({ log, ...plan }: Variant) =>
  defineKernel({
    name: `${log ? "log-softmax" : "softmax"}-rows ${plan.lanes}x${plan.width}`,
    bindings: { x: `read array<${rowType(plan)}>`, y: `write array<${rowType(plan)}>` },
    params: { rows: "u32", steps: "u32" },
    code: wgsl`${rowHelpers(plan)}${rowMain(
      plan,
      wgsl`
  var top = T(LOWEST);
  for (var i = first; i < end; i += LANES) { top = max(top, x[i]); }
  let peak = rowMax(acrossMax(top), local);
  var mass = T(0.0);
  for (var i = first; i < end; i += LANES) { mass += exp(x[i] - peak); }
  let total = rowSum(across(mass), local);
  ${
    log
      ? `let shift = peak + select(log(total), 0.0, total == 0.0);
  for (var i = first; i < end; i += LANES) { y[i] = x[i] - shift; }`
      : `let scale = select(1.0 / total, 0.0, total == 0.0);
  for (var i = first; i < end; i += LANES) { y[i] = exp(x[i] - peak) * scale; }`
  }`,
    )}`,
  }),
);

/** softmax: dx = y·(g − Σ g·y).  logarithm: dx = g − exp(y)·Σ g. */
const backward = kernelFamily(({ log, ...plan }: Variant) =>
  defineKernel({
    name: `${log ? "log-softmax" : "softmax"}-rows-backward ${plan.lanes}x${plan.width}`,
    bindings: { g: `read array<${rowType(plan)}>`, y: `read array<${rowType(plan)}>`, dx: `write array<${rowType(plan)}>` },
    params: { rows: "u32", steps: "u32" },
    code: wgsl`${rowHelpers(plan)}${rowMain(
      plan,
      wgsl`
  var sum = T(0.0);
  for (var i = first; i < end; i += LANES) { sum += ${log ? "g[i]" : "g[i] * y[i]"}; }
  let total = rowSum(across(sum), local);
  for (var i = first; i < end; i += LANES) { dx[i] = ${log ? "g[i] - exp(y[i]) * total" : "y[i] * (g[i] - total)"}; }`,
    )}`,
  }),
);

/** x is contiguous; its last axis is the row. */
export function softmaxRows(x: Tensor, log: boolean): Tensor {
  const { engine } = x;
  const y = engine.empty(x.shape);
  if (x.size === 0) return y;
  const length = x.shape.at(-1)!;
  const rows = x.size / length;
  const plan = rowPlan(engine, rows, length);
  engine.gpu.dispatch(forward({ ...plan, log }), { x: x.slice(), y: y.slice() }, { rows, steps: length / plan.width }, rowGrid(rows, plan));
  return y;
}

export function softmaxRowsBackward(g: Tensor, y: Tensor, log: boolean): Tensor {
  const { engine } = y;
  const dx = engine.empty(y.shape);
  if (y.size === 0) return dx;
  const length = y.shape.at(-1)!;
  const rows = y.size / length;
  const plan = rowPlan(engine, rows, length);
  engine.gpu.dispatch(backward({ ...plan, log }), { g: g.slice(), y: y.slice(), dx: dx.slice() }, { rows, steps: length / plan.width }, rowGrid(rows, plan));
  return dx;
}
