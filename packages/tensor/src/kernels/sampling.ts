// Choosing among the entries of a row: one workgroup a row.
//   x        [N, V]   rows
//   values   [N, K]   the K largest, largest first; equal ones by lower index; NaN is never chosen
//   indices  [N, K]   NONE, with the value −∞, where a row has fewer entries that are numbers
//   draw     a number in [0, 1) for every row: Philox(row, stream; seed, purpose)
//   chosen   [N]      NONE for a row whose weights have no positive, finite sum
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl, type Scalar } from "@polyhead/gpu";
import { USE } from "../philox.ts";
import type { Tensor } from "../tensor.ts";
import { PHILOX } from "./philox.ts";
import { NONE, rowLanes } from "./sampling-rows.ts";

/** WGSL has no literal for −∞; a scalar brings its bits. */
const MINUS_INFINITY_BITS = 0xff800000;

/** Lanes stride over the row and remember their best; of those the best is taken, and only its lane looks for its next. */
const topKRows = kernelFamily((lanes: 64 | 256) =>
  defineKernel({
    name: `top-k ${lanes}`,
    bindings: { x: "read array<f32>", values: "write array<f32>", indices: "write array<u32>" },
    params: { length: "u32", count: "u32", minusInfinity: "u32" },
    code: wgsl`
var<workgroup> best: array<f32, ${lanes}>;
var<workgroup> place: array<u32, ${lanes}>;
// Is (a, i) chosen before (b, j)? NaN compares false with everything, so it never is.
fn before(a: f32, i: u32, b: f32, j: u32) -> bool { return i != ${NONE} && (j == ${NONE} || a > b || (a == b && i < j)); }
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  var value = 0.0;
  var index = ${NONE};
  var lastValue = 0.0;
  var lastIndex = ${NONE};
  for (var k = 0u; k < params.count; k++) {
    if (k == 0u || (index == lastIndex && index != ${NONE})) {
      value = 0.0;
      index = ${NONE};
      for (var j = lane; j < params.length; j += ${lanes}u) {
        let candidate = x[row + j];
        // Only what comes after the last one taken; the comparison with itself leaves NaN out.
        let open = candidate == candidate && (k == 0u || before(lastValue, lastIndex, candidate, j));
        if (open && before(candidate, j, value, index)) {
          value = candidate;
          index = j;
        }
      }
    }
    best[lane] = value;
    place[lane] = index;
    workgroupBarrier();
    for (var span = ${lanes / 2}u; span > 0u; span >>= 1u) {
      if (lane < span && before(best[lane + span], place[lane + span], best[lane], place[lane])) {
        best[lane] = best[lane + span];
        place[lane] = place[lane + span];
      }
      workgroupBarrier();
    }
    lastValue = best[0];
    lastIndex = place[0];
    if (lane == 0u) {
      values[group.x * params.count + k] = select(lastValue, bitcast<f32>(params.minusInfinity), lastIndex == ${NONE});
      indices[group.x * params.count + k] = lastIndex;
    }
    workgroupBarrier(); // the next round writes what this one reads
  }
}`,
  }),
);

/** Lanes own consecutive spans. The spans' sums say in which one the threshold lies, and its lane finds the entry. */
const inverseCdf = kernelFamily((lanes: 64 | 256) =>
  defineKernel({
    name: `multinomial ${lanes}`,
    bindings: { weights: "read array<f32>", chosen: "write array<u32>" },
    params: { length: "u32", stream: "u32", seed: "u32", purpose: "u32", firstRow: "u32" },
    code: wgsl`
${PHILOX}
var<workgroup> sums: array<f32, ${lanes}>;
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  let span = (params.length + ${lanes - 1}u) / ${lanes}u;
  let start = min(lane * span, params.length);
  let end = min(start + span, params.length);
  var own = 0.0;
  for (var j = start; j < end; j++) { own += weights[row + j]; }
  sums[lane] = own;
  workgroupBarrier();
  var total = 0.0;
  for (var l = 0u; l < ${lanes}u; l++) { total += sums[l]; }
  // Also false where it is NaN.
  let usable = total > 0.0 && total <= 3.4028234e38;
  let draw = toUnit(philox(vec4u(params.firstRow + group.x, 0u, params.stream, 0u), vec2u(params.seed, params.purpose)));
  let threshold = draw.x * total;
  // Rounding may leave the running sums below the threshold at the end: then the last span, and entry, with any weight is it.
  var owner = ${lanes}u;
  var before = 0.0;
  var running = 0.0;
  for (var l = 0u; l < ${lanes}u; l++) {
    if (sums[l] > 0.0) {
      owner = l;
      before = running;
      running += sums[l];
      if (running > threshold) { break; }
    }
  }
  if (!usable) {
    if (lane == 0u) { chosen[group.x] = ${NONE}; }
    return;
  }
  if (lane != owner) { return; }
  var sum = before;
  var answer = start;
  for (var j = start; j < end; j++) {
    let w = weights[row + j];
    if (w > 0.0) {
      answer = j;
      sum += w;
      if (sum > threshold) { break; }
    }
  }
  chosen[group.x] = answer;
}`,
  }),
);

const pickEntries = defineKernel({
  name: "pick",
  bindings: { table: "read array<u32>", place: "read array<u32>", picked: "write array<u32>" },
  params: { rows: "u32", length: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = ${flatIndex(64)};
  if (row >= params.rows) { return; }
  let at = place[row];
  picked[row] = select(${NONE}, table[row * params.length + min(at, params.length - 1u)], at < params.length);
}`,
});

export function topKOf(x: Tensor, rows: number, length: number, count: number): { readonly values: Tensor; readonly indices: Tensor } {
  const { engine } = x;
  const [values, indices] = [engine.empty([rows, count]), engine.empty([rows, count], "u32")];
  engine.gpu.dispatch(topKRows(rowLanes(length)), { x: x.slice(), values: values.slice(), indices: indices.slice() }, { length, count, minusInfinity: MINUS_INFINITY_BITS }, [rows]);
  return { values, indices };
}

export function drawOf(weights: Tensor, rows: number, length: number, { seed, stream, firstRow }: { readonly seed: number; readonly stream: Scalar; readonly firstRow: number }): Tensor {
  const chosen = weights.engine.empty([rows], "u32");
  weights.engine.gpu.dispatch(inverseCdf(rowLanes(length)), { weights: weights.slice(), chosen: chosen.slice() }, { length, stream, seed, purpose: USE.draw, firstRow }, [rows]);
  return chosen;
}

export function pickOf(table: Tensor, place: Tensor, rows: number, length: number): Tensor {
  const picked = table.engine.empty([rows], "u32");
  table.engine.gpu.dispatch(pickEntries, { table: table.slice(), place: place.slice(), picked: picked.slice() }, { rows, length }, flatGrid(rows, 64));
  return picked;
}
