// Cross-entropy of each row of logits [rows, length] against one target, and the way back.
//   targets  [rows], u32 or i32 bits; `ignore` marks rows without a loss; any other one outside of the row makes its loss NaN
//   loss     [rows]: lse − logit[target], or 0
//   lse      [rows]: log Σ exp(logit), natural, kept for backward
//   factor   [1]: 1, or 1 / (rows that count) for a mean
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { rowGrid, rowHelpers, rowMain, rowPlan, rowType, type RowPlan } from "./rows.ts";

/** WGSL has no NaN literal; a scalar brings its bits. */
const NAN_BITS = 0x7fc00000;

const forward = kernelFamily((plan: RowPlan) =>
  defineKernel({
    name: `cross-entropy-rows ${plan.lanes}x${plan.width}`,
    bindings: { x: `read array<${rowType(plan)}>`, targets: "read array<u32>", loss: "write array<f32>", lse: "write array<f32>" },
    params: { rows: "u32", steps: "u32", length: "u32", ignore: "i32", nan: "u32" },
    code: wgsl`${rowHelpers(plan)}${rowMain(
      plan,
      wgsl`
  var top = T(LOWEST);
  for (var i = first; i < end; i += LANES) { top = max(top, x[i]); }
  let peak = rowMax(acrossMax(top), local);
  var mass = T(0.0);
  for (var i = first; i < end; i += LANES) { mass += exp(x[i] - peak); }
  let total = peak + log(rowSum(across(mass), local));
  if (live && lane == 0u) {
    let hit = targets[row];
    let known = hit < params.length;
    let logit = ${plan.width === 4 ? "x[base + min(hit, params.length - 1u) / 4u][hit % 4u]" : "x[base + min(hit, params.length - 1u)]"};
    let ignored = hit == bitcast<u32>(params.ignore);
    lse[row] = select(bitcast<f32>(params.nan), total, known || ignored);
    loss[row] = select(select(bitcast<f32>(params.nan), total - logit, known), 0.0, ignored);
  }`,
    )}`,
  }),
);

const total = defineKernel({
  name: "cross-entropy-total",
  bindings: { loss: "read array<f32>", targets: "read array<u32>", result: "write array<f32>", factor: "write array<f32>" },
  params: { rows: "u32", ignore: "i32", mean: "u32" },
  code: wgsl`
var<workgroup> sums: array<f32, 256>;
var<workgroup> counts: array<u32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  var count = 0u;
  for (var row = lane; row < params.rows; row += 256u) {
    sum += loss[row];
    count += select(1u, 0u, targets[row] == bitcast<u32>(params.ignore));
  }
  sums[lane] = sum;
  counts[lane] = count;
  workgroupBarrier();
  for (var step = 128u; step > 0u; step >>= 1u) {
    if (lane < step) {
      sums[lane] += sums[lane + step];
      counts[lane] += counts[lane + step];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let weight = select(1.0, 1.0 / f32(max(counts[0], 1u)), params.mean == 1u);
    factor[0] = weight;
    result[0] = sums[0] * weight;
  }
}`,
});

/** dlogit = (softmax − [column = target])·g·factor, and 0 in ignored rows. `shared`: one g for all rows, else one a row and no factor. */
const backward = kernelFamily(({ width, shared }: { readonly width: 1 | 4; readonly shared: boolean }) => {
  const type = width === 4 ? "vec4f" : "f32";
  return defineKernel({
    name: `cross-entropy-backward x${width}`,
    bindings: { x: `read array<${type}>`, targets: "read array<u32>", lse: "read array<f32>", g: "read array<f32>", factor: "read array<f32>", dx: `write array<${type}>` },
    params: { count: "u32", steps: "u32", ignore: "i32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let row = i / params.steps;
  let column = i % params.steps * ${width}u;
  let hit = targets[row];
  let weight = ${shared ? "g[0] * factor[0]" : "g[row] * factor[0]"};
  let p = exp(x[i] - lse[row]);
  let one = ${width === 4 ? "select(vec4f(0.0), vec4f(1.0), vec4u(column, column + 1u, column + 2u, column + 3u) == vec4u(hit))" : "select(0.0, 1.0, column == hit)"};
  dx[i] = select((p - one) * weight, ${type}(0.0), hit == bitcast<u32>(params.ignore));
}`,
  });
});

export interface RowTargets {
  /** [rows], contiguous. */
  readonly targets: Tensor;
  /** Target of rows that do not count; its bits are compared. */
  readonly ignore: number;
}

/** logits [rows, length] → loss and lse, [rows] each. */
export function crossEntropyRows(x: Tensor, length: number, { targets, ignore }: RowTargets): { readonly loss: Tensor; readonly lse: Tensor } {
  const { engine } = x;
  const rows = targets.size;
  const plan = rowPlan(engine, rows, length);
  const loss = engine.empty([rows]);
  const lse = engine.empty([rows]);
  if (rows > 0) {
    engine.gpu.dispatch(forward(plan), { x: x.slice(), targets: targets.slice(), loss: loss.slice(), lse: lse.slice() }, { rows, steps: length / plan.width, length, ignore, nan: NAN_BITS }, rowGrid(rows, plan));
  }
  return { loss, lse };
}

/** Sum or mean of the losses, and the factor that it took; a mean over no row is 0. */
export function crossEntropyTotal(loss: Tensor, { targets, ignore }: RowTargets, mean: boolean): { readonly result: Tensor; readonly factor: Tensor } {
  const { engine } = loss;
  const result = engine.empty([]);
  const factor = engine.empty([]);
  engine.gpu.dispatch(total, { loss: loss.slice(), targets: targets.slice(), result: result.slice(), factor: factor.slice() }, { rows: loss.size, ignore, mean: mean ? 1 : 0 }, [1]);
  return { result, factor };
}

/** dlogits, of the logits' shape. g holds one number, or one a row. */
export function crossEntropyBackward(g: Tensor, x: Tensor, length: number, { lse, factor, shared, targets, ignore }: RowTargets & { readonly lse: Tensor; readonly factor: Tensor; readonly shared: boolean }): Tensor {
  const { engine } = x;
  const dx = engine.empty(x.shape);
  const width = length % 4 === 0 ? 4 : 1;
  const count = x.size / width;
  if (count > 0) {
    const bindings = { x: x.slice(), targets: targets.slice(), lse: lse.slice(), g: g.slice(), factor: factor.slice(), dx: dx.slice() };
    engine.gpu.dispatch(backward({ width, shared }), bindings, { count, steps: length / width, ignore }, flatGrid(count, 64));
  }
  return dx;
}
