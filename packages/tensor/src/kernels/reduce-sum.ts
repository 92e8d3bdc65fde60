// Sums the middle axis of x [A, R, B] in a fixed order.
//   x        [A, R, B], row-major
//   partial  [A, chunks, B]: entry (a, c, b) sums rows c·CHUNK to (c + 1)·CHUNK of R
//   one invocation an entry, or four neighbours where B is a multiple of 4; passes repeat until one chunk is left, so no atomics and the same bits on every run
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

/** Long enough to amortise a pass, short enough that a column sum still fills a device. */
const CHUNK = 64;

const reduceSum: (type: "f32" | "vec4f") => Kernel<"x" | "partial", "outputs" | "rows" | "columns" | "chunks" | "factor"> = kernelFamily((type) => defineKernel({
  name: type === "f32" ? "reduce-sum" : "reduce-sum x4",
  bindings: { x: `read array<${type}>`, partial: `write array<${type}>` },
  params: { outputs: "u32", rows: "u32", columns: "u32", chunks: "u32", factor: "f32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.outputs) { return; }
  let b = i % params.columns;
  let c = (i / params.columns) % params.chunks;
  let a = i / (params.columns * params.chunks);
  let end = min((c + 1u) * ${CHUNK}u, params.rows);
  var sum = ${type}();
  for (var r = c * ${CHUNK}u; r < end; r++) { sum += x[(a * params.rows + r) * params.columns + b]; }
  partial[i] = sum * params.factor;
}`,
}));

/** x [A, R, B] → [A, B], times `factor`. The result has that flat shape. */
export function reduceMiddle(x: Tensor, a: number, r: number, b: number, factor = 1): Tensor {
  const { engine } = x;
  const wide = b % 4 === 0;
  const columns = wide ? b / 4 : b;
  let source = x;
  let rows = r;
  for (;;) {
    const chunks = Math.max(1, Math.ceil(rows / CHUNK));
    const outputs = a * chunks * columns;
    const last = chunks === 1;
    const partial = engine.empty([a, chunks, b]);
    engine.gpu.dispatch(reduceSum(wide ? "vec4f" : "f32"), { x: source.slice(), partial: partial.slice() }, { outputs, rows, columns, chunks, factor: last ? factor : 1 }, flatGrid(outputs, 64));
    if (last) return partial.reshape([a, b]);
    source = partial;
    rows = chunks;
  }
}
