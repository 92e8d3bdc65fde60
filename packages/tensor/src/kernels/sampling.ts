// Choosing among the entries of a row.
//   x        [N, V]   rows; an entry that is NaN is never chosen
//   values   [N, K]   the K largest, largest first; equal ones by lower index
//   indices  [N, K]
//   draws    [N]      uniform numbers in [0, 1)
//   one workgroup a row; its 64 lanes stride over the row
import { defineKernel, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

const topKRows = defineKernel({
  name: "top-k",
  bindings: { x: "read array<f32>", values: "write array<f32>", indices: "write array<u32>" },
  params: { length: "u32", count: "u32" },
  code: wgsl`
const NONE = 0xffffffffu;
var<workgroup> best: array<f32, 64>;
var<workgroup> place: array<u32, 64>;
// Is (a, i) chosen before (b, j)? NaN compares false with everything, so it never is.
fn before(a: f32, i: u32, b: f32, j: u32) -> bool { return i != NONE && (j == NONE || a > b || (a == b && i < j)); }
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  var lastValue = 0.0;
  var lastIndex = NONE;
  for (var k = 0u; k < params.count; k++) {
    var value = 0.0;
    var index = NONE;
    for (var j = lane; j < params.length; j += 64u) {
      let candidate = x[row + j];
      // Only what comes after the last one chosen; the comparison with itself leaves NaN out.
      let open = candidate == candidate && (lastIndex == NONE || before(lastValue, lastIndex, candidate, j));
      if (open && j != lastIndex && before(candidate, j, value, index)) { value = candidate; index = j; }
    }
    best[lane] = value;
    place[lane] = index;
    workgroupBarrier();
    for (var span = 32u; span > 0u; span >>= 1u) {
      if (lane < span && before(best[lane + span], place[lane + span], best[lane], place[lane])) {
        best[lane] = best[lane + span];
        place[lane] = place[lane + span];
      }
      workgroupBarrier();
    }
    lastValue = best[0];
    lastIndex = place[0];
    if (lane == 0u) {
      values[group.x * params.count + k] = lastValue;
      indices[group.x * params.count + k] = lastIndex;
    }
    workgroupBarrier();
  }
}`,
});

const inverseCdf = defineKernel({
  name: "multinomial",
  bindings: { weights: "read array<f32>", draws: "read array<f32>", chosen: "write array<u32>" },
  params: { length: "u32" },
  code: wgsl`
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  let row = group.x * params.length;
  var total = 0.0;
  for (var j = 0u; j < params.length; j++) { total += weights[row + j]; }
  let threshold = draws[group.x] * total;
  // Rounding may leave the running sum below the threshold at the end: then the last entry with any weight is it.
  var sum = 0.0;
  var answer = 0u;
  for (var j = 0u; j < params.length; j++) {
    let w = weights[row + j];
    if (w > 0.0) {
      answer = j;
      sum += w;
      if (sum > threshold) { break; }
    }
  }
  chosen[group.x] = answer;
}`,
});

const pickEntries = defineKernel({
  name: "pick",
  bindings: { table: "read array<u32>", place: "read array<u32>", picked: "write array<u32>" },
  params: { length: "u32" },
  code: wgsl`
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  picked[group.x] = table[group.x * params.length + min(place[group.x], params.length - 1u)];
}`,
});

export function topKOf(x: Tensor, rows: number, length: number, count: number): { readonly values: Tensor; readonly indices: Tensor } {
  const { engine } = x;
  const [values, indices] = [engine.empty([rows, count]), engine.empty([rows, count], "u32")];
  engine.gpu.dispatch(topKRows, { x: x.slice(), values: values.slice(), indices: indices.slice() }, { length, count }, [rows]);
  return { values, indices };
}

export function drawOf(weights: Tensor, draws: Tensor, rows: number, length: number): Tensor {
  const chosen = weights.engine.empty([rows], "u32");
  weights.engine.gpu.dispatch(inverseCdf, { weights: weights.slice(), draws: draws.slice(), chosen: chosen.slice() }, { length }, [rows]);
  return chosen;
}

export function pickOf(table: Tensor, place: Tensor, rows: number, length: number): Tensor {
  const picked = table.engine.empty([rows], "u32");
  table.engine.gpu.dispatch(pickEntries, { table: table.slice(), place: place.slice(), picked: picked.slice() }, { length }, [rows]);
  return picked;
}
