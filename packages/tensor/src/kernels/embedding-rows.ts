// Rows of a table by id, and the way back.
//   table   [vocab, D], f32 or f16 (packed, two numbers to a word), bound in runs of rows (`first` and `rows`) when it is larger than a binding
//   ids     [count]: u32; an id past the table gives a row of NaN and no gradient
//   forward: one invocation an element of y (four where 4 divides D), reading only ids of the bound run
//   backward: one invocation an element of the table's gradient, adding up the positions that named its row, in their order:
//             no atomics on floats, and no dispatch whose cost is vocabulary × positions
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { pieces } from "./pieces.ts";
import { sortIds } from "./sort-ids.ts";

type Width = 1 | 4;
const typeOf = (width: Width): string => (width === 4 ? "vec4f" : "f32");
const widthOf = (length: number): Width => (length % 4 === 0 ? 4 : 1);

interface Gather {
  readonly width: Width;
  readonly half: boolean;
}

/** Element `at` of the table, counted in widths. */
const element = ({ width, half }: Gather): string => {
  if (!half) return wgsl`fn element(at: u32) -> ${typeOf(width)} { return table[at]; }`;
  if (width === 1) return wgsl`fn element(at: u32) -> f32 { return unpack2x16float(table[at >> 1u])[at & 1u]; }`;
  return wgsl`fn element(at: u32) -> vec4f { let w = table[at]; return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }`;
};

const gather = kernelFamily(({ width, half }: Gather) =>
  defineKernel({
    name: `embedding x${width}${half ? " f16" : ""}`,
    bindings: { table: `read array<${half ? (width === 4 ? "vec2u" : "u32") : typeOf(width)}>`, ids: "read array<u32>", y: `write array<${typeOf(width)}>` },
    params: { count: "u32", steps: "u32", vocab: "u32", first: "u32", rows: "u32", nan: "u32" },
    code: wgsl`
${element({ width, half })}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let id = ids[i / params.steps];
  if (id >= params.vocab) {
    y[i] = ${typeOf(width)}(bitcast<f32>(params.nan));
  } else if (id >= params.first && id - params.first < params.rows) {
    y[i] = element((id - params.first) * params.steps + i % params.steps);
  }
}`,
  }),
);

const scatterAdd = kernelFamily((width: Width) =>
  defineKernel({
    name: `embedding-backward x${width}`,
    bindings: { g: `read array<${typeOf(width)}>`, ids: "read array<u32>", order: "read array<u32>", starts: "read array<u32>", dtable: `write array<${typeOf(width)}>` },
    params: { count: "u32", steps: "u32", first: "u32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let id = params.first + i / params.steps;
  let column = i % params.steps;
  var sum = ${typeOf(width)}(0.0);
  let end = starts[id + 1u];
  for (var at = starts[id]; at < end; at++) {
    let position = order[at];
    if (ids[position] == id) { sum += g[position * params.steps + column]; }
  }
  dtable[i] = sum;
}`,
  }),
);

/** table [vocab, D], ids [count] → [count, D], f32 */
export function embeddingRows(table: Tensor, ids: Tensor): Tensor {
  const { engine } = table;
  const [vocab, length] = table.shape as [number, number];
  const y = engine.empty([ids.size, length]);
  const width = widthOf(length);
  const count = y.size / width;
  if (count === 0) return y;
  for (const { first, count: rows, slice } of pieces(table, length)) {
    engine.gpu.dispatch(gather({ width, half: table.dtype === "f16" }), { table: slice, ids: ids.slice(), y: y.slice() }, { count, steps: length / width, vocab, first, rows, nan: 0x7fc00000 }, flatGrid(count, 64));
  }
  return y;
}

/** g [count, D], ids [count] → [vocab, D] */
export function embeddingRowsBackward(g: Tensor, ids: Tensor, vocab: number): Tensor {
  const { engine } = g;
  const length = g.shape.at(-1)!;
  const dtable = engine.empty([vocab, length]);
  if (dtable.size === 0) return dtable;
  const width = widthOf(length);
  const { order, starts } = sortIds(ids, vocab);
  for (const { first, count: rows, slice } of pieces(dtable, length)) {
    const count = (rows * length) / width;
    engine.gpu.dispatch(scatterAdd(width), { g: g.slice(), ids: ids.slice(), order: order.slice(), starts: starts.slice(), dtable: slice }, { count, steps: length / width, first }, flatGrid(count, 64));
  }
  return dtable;
}
