// Sorts positions by their id: a stable radix sort, eight bits a pass, so cost grows with the positions and not with the vocabulary.
//   ids     [count]: any u32; those above `last` sort as `last`
//   order   [count]: positions, in the order of (id, position). The order is unique, so two runs agree although counting uses atomics
//   counts  [256, blocks]: keys of a block of 256 with a digit; after the scan, where the first of them goes
//   starts  [last + 2]: starts[v] is the first place in `order` whose id is v or more
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl, type BindingSpec, type BufferSlice } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

const BLOCK = 256;
const DIGITS = 256;

/** `firstPass`: the order so far is that of the positions themselves. */
const digitOf = (firstPass: boolean): string => wgsl`
fn positionAt(i: u32) -> u32 { return ${firstPass ? "i" : "order[i]"}; }
fn digitAt(position: u32) -> u32 { return (min(ids[position], params.last) >> params.shift) & ${DIGITS - 1}u; }`;

const keys = (firstPass: boolean): Record<string, BindingSpec> => ({ ids: "read array<u32>", ...(firstPass ? {} : { order: "read array<u32>" as const }) });
const params = { count: "u32", blocks: "u32", last: "u32", shift: "u32" } as const;

const countDigits = kernelFamily((firstPass: boolean) =>
  defineKernel({
    name: "sort-ids/count",
    bindings: { ...keys(firstPass), counts: "write array<u32>" },
    params,
    code: wgsl`
var<workgroup> bins: array<atomic<u32>, ${DIGITS}>;
${digitOf(firstPass)}
@compute @workgroup_size(${BLOCK})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group.x + group.y * groups.x;
  let i = block * ${BLOCK}u + lane;
  atomicStore(&bins[lane], 0u);
  workgroupBarrier();
  if (i < params.count) { atomicAdd(&bins[digitAt(positionAt(i))], 1u); }
  workgroupBarrier();
  if (block < params.blocks) { counts[lane * params.blocks + block] = atomicLoad(&bins[lane]); }
}`,
  }),
);

const scan = defineKernel({
  name: "sort-ids/scan",
  bindings: { counts: "write array<u32>" },
  params: { blocks: "u32" },
  code: wgsl`
var<workgroup> totals: array<u32, ${DIGITS}>;
@compute @workgroup_size(${DIGITS})
fn main(@builtin(local_invocation_index) lane: u32) {
  let start = lane * params.blocks;
  var total = 0u;
  for (var b = 0u; b < params.blocks; b++) { total += counts[start + b]; }
  totals[lane] = total;
  workgroupBarrier();
  var before = 0u;
  for (var d = 0u; d < lane; d++) { before += totals[d]; }
  for (var b = 0u; b < params.blocks; b++) {
    let own = counts[start + b];
    counts[start + b] = before;
    before += own;
  }
}`,
});

const scatter = kernelFamily((firstPass: boolean) =>
  defineKernel({
    name: "sort-ids/scatter",
    bindings: { ...keys(firstPass), counts: "read array<u32>", sorted: "write array<u32>" },
    params,
    code: wgsl`
var<workgroup> digits: array<u32, ${BLOCK}>;
${digitOf(firstPass)}
@compute @workgroup_size(${BLOCK})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group.x + group.y * groups.x;
  let i = block * ${BLOCK}u + lane;
  let live = i < params.count;
  var position = 0u;
  var digit = ${DIGITS}u;
  if (live) {
    position = positionAt(i);
    digit = digitAt(position);
  }
  digits[lane] = digit;
  workgroupBarrier();
  if (!live) { return; }
  var rank = 0u;
  for (var j = 0u; j < lane; j++) { rank += select(0u, 1u, digits[j] == digit); }
  sorted[counts[digit * params.blocks + block] + rank] = position;
}`,
  }),
);

const findStarts = defineKernel({
  name: "sort-ids/starts",
  bindings: { ids: "read array<u32>", order: "read array<u32>", starts: "write array<u32>" },
  params: { count: "u32", last: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let v = ${flatIndex(64)};
  if (v > params.last + 1u) { return; }
  var low = 0u;
  var high = params.count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (min(ids[order[middle]], params.last) < v) { low = middle + 1u; } else { high = middle; }
  }
  starts[v] = low;
}`,
});

/** Positions sorted by id, and where each of the ids 0..vocab − 1 begins; those past the end are in the last list. */
export function sortIds(ids: Tensor, vocab: number): { readonly order: Tensor; readonly starts: Tensor } {
  const { engine } = ids;
  const { gpu } = engine;
  const count = ids.size;
  const blocks = Math.ceil(count / BLOCK);
  const last = vocab - 1;
  const counts = engine.empty([DIGITS, blocks], "u32");
  let order: Tensor | undefined;
  for (let shift = 0; shift === 0 || last >>> shift > 0; shift += 8) {
    const sorted = engine.empty([count], "u32");
    const first = order === undefined;
    const inputs: Record<string, BufferSlice> = { ids: ids.slice(), ...(order && { order: order.slice() }) };
    const values = { count, blocks, last, shift };
    const grid = flatGrid(blocks, 1);
    gpu.dispatch(countDigits(first), { ...inputs, counts: counts.slice() }, values, grid);
    gpu.dispatch(scan, { counts: counts.slice() }, { blocks }, [1]);
    gpu.dispatch(scatter(first), { ...inputs, counts: counts.slice(), sorted: sorted.slice() }, values, grid);
    order = sorted;
  }
  const starts = engine.empty([vocab + 1], "u32");
  gpu.dispatch(findStarts, { ids: ids.slice(), order: order!.slice(), starts: starts.slice() }, { count, last }, flatGrid(vocab + 1, 64));
  return { order: order!, starts };
}
