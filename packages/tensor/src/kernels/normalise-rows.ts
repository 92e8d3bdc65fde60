// Normalises the rows of x [rows, length], with or without centring them, and the way back.
//   gamma, beta  [length]; `gammaOffset` is added to gamma (1 for the convention that stores gamma − 1)
//   mean, inv    [rows]: the row's mean and 1 / √(variance + ε), kept for backward
//   the variance is a second pass over the row: Σ(x − mean)² does not cancel where Σx² − (Σx)²/n would
import { defineKernel, kernelFamily, wgsl, type BindingSpec } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { rowGrid, rowHelpers, rowMain, rowPlan, rowType, type RowPlan } from "./rows.ts";

interface Variant extends RowPlan {
  readonly centre: boolean;
  readonly gamma: boolean;
  readonly beta: boolean;
}

const forward = kernelFamily(({ centre, gamma, beta, ...plan }: Variant) => {
  const array: `read ${string}` = `read array<${rowType(plan)}>`;
  const bindings: Record<string, BindingSpec> = {
    x: array,
    ...(gamma && { gamma: array }),
    ...(beta && { beta: array }),
    y: `write array<${rowType(plan)}>`,
    inv: "write array<f32>",
    ...(centre && { mean: "write array<f32>" }),
  };
  return defineKernel({
    name: `normalise-rows/${centre ? "layer" : "rms"} ${plan.lanes}x${plan.width}`,
    bindings,
    params: { rows: "u32", steps: "u32", length: "f32", eps: "f32", gammaOffset: "f32" },
    code: wgsl`${rowHelpers(plan)}${rowMain(
      plan,
      wgsl`
  ${
    centre
      ? wgsl`var total = T(0.0);
  for (var i = first; i < end; i += LANES) { total += x[i]; }
  let centre = rowSum(across(total), local) / params.length;`
      : "let centre = 0.0;"
  }
  var squares = T(0.0);
  for (var i = first; i < end; i += LANES) { let d = x[i] - centre; squares += d * d; }
  let scale = 1.0 / sqrt(rowSum(across(squares), local) / params.length + params.eps);
  for (var i = first; i < end; i += LANES) {
    y[i] = (x[i] - centre) * scale${gamma ? " * (gamma[i - base] + params.gammaOffset)" : ""}${beta ? " + beta[i - base]" : ""};
  }
  if (live && lane == 0u) {
    inv[row] = scale;
    ${centre ? "mean[row] = centre;" : ""}
  }`,
    )}`,
  });
});

/** With x̂ the normalised row and ĝ = g·γ: dx = inv·(ĝ − mean(ĝ) − x̂·mean(ĝ·x̂)); without centring mean(ĝ) is absent. */
const backwardRows = kernelFamily(({ centre, gamma, ...plan }: Omit<Variant, "beta">) => {
  const array: `read ${string}` = `read array<${rowType(plan)}>`;
  const bindings: Record<string, BindingSpec> = {
    g: array,
    x: array,
    ...(gamma && { gamma: array }),
    inv: "read array<f32>",
    ...(centre && { mean: "read array<f32>" }),
    dx: `write array<${rowType(plan)}>`,
  };
  const ghat = gamma ? "g[i] * (gamma[i - base] + params.gammaOffset)" : "g[i]";
  return defineKernel({
    name: `normalise-rows-backward/${centre ? "layer" : "rms"} ${plan.lanes}x${plan.width}`,
    bindings,
    params: { rows: "u32", steps: "u32", length: "f32", gammaOffset: "f32" },
    code: wgsl`${rowHelpers(plan)}${rowMain(
      plan,
      wgsl`
  let at = min(row, params.rows - 1u);
  let scale = inv[at];
  let centre = ${centre ? "mean[at]" : "0.0"};
  var plain = T(0.0);
  var along = T(0.0);
  for (var i = first; i < end; i += LANES) {
    let ghat = ${ghat};
    plain += ghat;
    along += ghat * (x[i] - centre);
  }
  let shift = ${centre ? "rowSum(across(plain), local) / params.length" : "0.0"};
  let slope = rowSum(across(along), local) * scale * scale / params.length;
  for (var i = first; i < end; i += LANES) {
    dx[i] = scale * (${ghat} - shift - (x[i] - centre) * slope);
  }`,
    )}`,
  });
});

export interface RowNorm {
  readonly rows: number;
  readonly length: number;
  readonly centre: boolean;
  readonly gammaOffset: number;
}

export interface RowStats {
  readonly inv: Tensor;
  readonly mean?: Tensor;
}

const common = ({ rows, length, gammaOffset }: RowNorm, width: number): { rows: number; steps: number; length: number; gammaOffset: number } => ({ rows, steps: length / width, length, gammaOffset });

/** y and its statistics. All tensors are contiguous; the result has x's shape. */
export function normaliseRows(x: Tensor, norm: RowNorm & { readonly gamma?: Tensor; readonly beta?: Tensor; readonly eps: number }): RowStats & { readonly y: Tensor } {
  const { engine } = x;
  const { rows, length, centre, gamma, beta, eps } = norm;
  const plan = rowPlan(engine, rows, length);
  const y = engine.empty(x.shape);
  const inv = engine.empty([rows]);
  const mean = centre ? engine.empty([rows]) : undefined;
  if (rows === 0) return { y, inv, ...(mean && { mean }) };
  const kernel = forward({ ...plan, centre, gamma: gamma !== undefined, beta: beta !== undefined });
  const bindings = { x: x.slice(), ...(gamma && { gamma: gamma.slice() }), ...(beta && { beta: beta.slice() }), y: y.slice(), inv: inv.slice(), ...(mean && { mean: mean.slice() }) };
  engine.gpu.dispatch(kernel, bindings, { ...common(norm, plan.width), eps }, rowGrid(rows, plan));
  return { y, inv, ...(mean && { mean }) };
}

export function normaliseRowsBackward(g: Tensor, x: Tensor, { inv, mean }: RowStats, norm: RowNorm & { readonly gamma?: Tensor }): Tensor {
  const { engine } = x;
  const { rows, length, centre, gamma } = norm;
  const plan = rowPlan(engine, rows, length);
  const dx = engine.empty(x.shape);
  if (rows === 0) return dx;
  const kernel = backwardRows({ ...plan, centre, gamma: gamma !== undefined });
  const bindings = { g: g.slice(), x: x.slice(), ...(gamma && { gamma: gamma.slice() }), inv: inv.slice(), ...(mean && { mean: mean.slice() }), dx: dx.slice() };
  engine.gpu.dispatch(kernel, bindings, common(norm, plan.width), rowGrid(rows, plan));
  return dx;
}
