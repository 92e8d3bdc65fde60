// Gradients of gamma and beta of a row norm: sums over the rows, column by column, in a fixed order.
//   g, x          [rows, length];  inv, mean [rows]
//   gammaParts    [chunks, length]: Σ g·x̂ over the rows of a chunk
//   betaParts     [chunks, length]: Σ g
//   one invocation a chunk and column (or four columns, where 4 divides the length), so neighbours read neighbouring words; the chunks are folded by `reduceMiddle`
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl, type BindingSpec } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import type { RowNorm, RowStats } from "./normalise-rows.ts";
import { reduceMiddle } from "./reduce-sum.ts";

/** As many as one pass of `reduceMiddle` folds. */
const MAX_CHUNKS = 64;
const MIN_CHUNK_ROWS = 32;

interface Wanted {
  readonly gamma: boolean;
  readonly beta: boolean;
}

interface Variant extends Wanted {
  readonly centre: boolean;
  readonly width: 1 | 4;
}

const partSums = kernelFamily(({ centre, gamma, beta, width }: Variant) => {
  const type = width === 4 ? "vec4f" : "f32";
  const bindings: Record<string, BindingSpec> = {
    g: `read array<${type}>`,
    ...(gamma && { x: `read array<${type}>`, inv: "read array<f32>", ...(centre && { mean: "read array<f32>" }), gammaParts: `write array<${type}>` }),
    ...(beta && { betaParts: `write array<${type}>` }),
  };
  return defineKernel({
    name: `normalise-columns/${centre ? "layer" : "rms"} x${width}`,
    bindings,
    params: { rows: "u32", steps: "u32", chunkRows: "u32", count: "u32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let column = i % params.steps;
  let start = i / params.steps * params.chunkRows;
  let end = min(start + params.chunkRows, params.rows);
  var gammaSum = ${type}(0.0);
  var betaSum = ${type}(0.0);
  for (var row = start; row < end; row++) {
    let at = row * params.steps + column;
    let grad = g[at];
    ${gamma ? `gammaSum += grad * (x[at]${centre ? " - mean[row]" : ""}) * inv[row];` : ""}
    ${beta ? "betaSum += grad;" : ""}
  }
  ${gamma ? "gammaParts[i] = gammaSum;" : ""}
  ${beta ? "betaParts[i] = betaSum;" : ""}
}`,
  });
});

/** [length] each, where wanted. */
export function normaliseColumns(g: Tensor, x: Tensor, { inv, mean }: RowStats, { rows, length, centre }: RowNorm, wanted: Wanted): { readonly gamma?: Tensor; readonly beta?: Tensor } {
  if (!wanted.gamma && !wanted.beta) return {};
  const { engine } = g;
  const chunkRows = Math.max(MIN_CHUNK_ROWS, Math.ceil(rows / MAX_CHUNKS));
  const chunks = Math.max(1, Math.ceil(rows / chunkRows));
  const gammaParts = wanted.gamma ? engine.empty([chunks, length]) : undefined;
  const betaParts = wanted.beta ? engine.empty([chunks, length]) : undefined;
  const bindings = {
    g: g.slice(),
    ...(gammaParts && { x: x.slice(), inv: inv.slice(), ...(mean && { mean: mean.slice() }), gammaParts: gammaParts.slice() }),
    ...(betaParts && { betaParts: betaParts.slice() }),
  };
  const width = length % 4 === 0 ? 4 : 1;
  const steps = length / width;
  const count = chunks * steps;
  engine.gpu.dispatch(partSums({ ...wanted, centre, width }), bindings, { rows, steps, chunkRows, count }, flatGrid(count, 64));
  const fold = (parts: Tensor): Tensor => reduceMiddle(parts, 1, chunks, length);
  return { ...(gammaParts && { gamma: fold(gammaParts) }), ...(betaParts && { beta: fold(betaParts) }) };
}
