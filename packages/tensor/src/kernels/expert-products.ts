// Products of rows with the matrices of their experts.
//   x   [rows, K]   a row a token, or a row a pair
//   w   [E, N, K]   or [E, K, N] for the gradient of x; bound in runs of experts where it is larger than a binding
//   y   [P, N]      by pair
//   sorted: the tiles of matmul, with rows found through the routing (matmul/experts.ts). Sums have a fixed order, with no atomics on
//           floats, and an expert without pairs gets a gradient of zeros
//   few:    for so few pairs that sorting does not pay. A workgroup owns one pair and 8 columns; 8 threads share K
import { defineKernel, kernelFamily, wgsl, type BindingSpec, type BufferSlice, type Kernel } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import type { SortedPairs } from "./expert-rows.ts";
import { chooseTemplate } from "./matmul/choose.ts";
import { codeOf, featuresOf, operandBindings } from "./matmul/family.ts";
import { templateName, tileOf, type MatmulSpec } from "./matmul/spec.ts";

type Table = "pairs" | "sources" | "starts" | "tiles";
type Scalars = "m" | "n" | "k" | "lda" | "ldb" | "ldc" | "alpha" | "first" | "experts" | "stride" | "last";

const TABLES: Record<Table, BindingSpec> = { pairs: "read array<u32>", sources: "read array<u32>", starts: "read array<u32>", tiles: "read array<u32>" };

const matmulOfExperts: (spec: MatmulSpec) => Kernel<"a" | "b" | "c" | Table, Scalars> = kernelFamily((spec: MatmulSpec) =>
  defineKernel<"a" | "b" | "c" | Table, Scalars>({
    name: `expert ${spec.experts ?? ""} ${spec.transA ? "t" : "n"}${spec.transB ? "t" : "n"}${spec.half ? " f16" : ""} ${templateName(spec.template)}`,
    bindings: { ...operandBindings(spec), ...TABLES },
    params: { m: "u32", n: "u32", k: "u32", lda: "u32", ldb: "u32", ldc: "u32", alpha: "f32", first: "u32", experts: "u32", stride: "u32", last: "u32" },
    enable: featuresOf(spec.template),
    code: codeOf(spec),
  }),
);

const four = (...sizes: readonly number[]): boolean => sizes.every((size) => size % 4 === 0);

/** Experts that one binding holds, as a run. */
interface Run {
  readonly first: number;
  readonly count: number;
  readonly slice: BufferSlice;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** w [E, …] in runs of experts that one binding can hold; each starts at a multiple of 256 bytes, as bindings must. */
function runsOf(w: Tensor): Run[] {
  const { buffer, offset, size } = w.slice();
  const experts = w.shape[0]!;
  const bytes = (w.size / experts) * (w.dtype === "f16" ? 2 : 4);
  const align = 256 / gcd(256, bytes);
  const most = Math.max(align, Math.floor(w.engine.gpu.caps.maxBindingBytes / bytes / align) * align);
  if (experts <= most) return [{ first: 0, count: experts, slice: { buffer, offset, size } }];
  return Array.from({ length: Math.ceil(experts / most) }, (_, i) => {
    const first = i * most;
    const start = first * bytes;
    return { first, count: Math.min(most, experts - first), slice: { buffer, offset: offset + start, size: Math.min(most * bytes, size - start) } };
  });
}

/** x [rows, K] and w [E, N, K] (`back`: [E, K, N]) → [P, N] by pair, where a row of x is of a token or (`each`) of a pair; all contiguous. */
export function sortedProduct(x: Tensor, w: Tensor, { order, tokens, starts, tiles, tile }: SortedPairs, each: boolean, back: boolean): Tensor {
  const { engine } = x;
  const [, outputs, inputs] = w.shape as [number, number, number];
  const [n, k] = back ? [inputs, outputs] : [outputs, inputs];
  const pairs = order.size;
  const y = engine.empty([pairs, n]);
  const [vecA, vecB, vecC, half] = [four(k), four(n, k), four(n), w.dtype === "f16"];
  const batches = tiles.shape[0]!;
  const template = chooseTemplate(engine.gpu, { m: tile, n, k, batches, transA: false, transB: !back, aligned: vecA && vecB && vecC, half });
  const kernel = matmulOfExperts({ template, transA: false, transB: !back, vecA, vecB, vecC, ragged: k % 4 !== 0, half, reduce: false, epilogue: {}, experts: "products" });
  const [rows, columns] = tileOf(template);
  const tables = { pairs: order.slice(), sources: (each ? order : tokens).slice(), starts: starts.slice(), tiles: tiles.slice() };
  for (const { first, count: experts, slice } of runsOf(w)) {
    engine.gpu.dispatch(
      kernel,
      { a: x.slice(), b: slice, c: y.slice(), ...tables },
      { m: tile, n, k, lda: k, ldb: back ? n : k, ldc: n, alpha: 1, first, experts, stride: n * k, last: pairs - 1 },
      [Math.ceil(n / columns), Math.ceil(tile / rows), batches],
    );
  }
  return y;
}

/** g [P, M] and x [rows, N] → [E, M, N]; all contiguous. */
export function weightProduct(g: Tensor, x: Tensor, { order, tokens, starts, tiles }: SortedPairs, each: boolean, experts: number): Tensor {
  const { engine } = g;
  const [m, n] = [g.shape.at(-1)!, x.shape.at(-1)!];
  const dw = engine.empty([experts, m, n]);
  const [vecA, vecB] = [four(m), four(n)];
  const k = Math.ceil(order.size / experts);
  const template = chooseTemplate(engine.gpu, { m, n, k, batches: experts, transA: true, transB: false, aligned: vecA && vecB, half: false });
  const kernel = matmulOfExperts({ template, transA: true, transB: false, vecA, vecB, vecC: vecB, ragged: true, half: false, reduce: false, epilogue: {}, experts: "weights" });
  const [rows, columns] = tileOf(template);
  const tables = { pairs: order.slice(), sources: (each ? order : tokens).slice(), starts: starts.slice(), tiles: tiles.slice() };
  for (const { first, count, slice } of runsOf(dw)) {
    engine.gpu.dispatch(
      kernel,
      { a: g.slice(), b: x.slice(), c: slice, ...tables },
      { m, n, k, lda: m, ldb: n, ldc: n, alpha: 1, first, experts: count, stride: m * n, last: order.size - 1 },
      [Math.ceil(n / columns), Math.ceil(m / rows), count],
    );
  }
  return dw;
}

interface FewForm {
  /** Reads four numbers at a time; K is a multiple of 4. */
  readonly wide: boolean;
  /** w holds f16 numbers, two to a word. */
  readonly half: boolean;
}

/** `w4(i)` from an index that is a multiple of 4, or `w1(i)`. */
function reader({ wide, half }: FewForm): string {
  if (wide) return half ? wgsl`fn w4(i: u32) -> vec4f { let v = w[i >> 2u]; return vec4f(unpack2x16float(v.x), unpack2x16float(v.y)); }` : wgsl`fn w4(i: u32) -> vec4f { return w[i >> 2u]; }`;
  return half ? wgsl`fn w1(i: u32) -> f32 { return unpack2x16float(w[i >> 1u])[i & 1u]; }` : wgsl`fn w1(i: u32) -> f32 { return w[i]; }`;
}

const weightType = ({ wide, half }: FewForm): string => (half ? (wide ? "vec2u" : "u32") : wide ? "vec4f" : "f32");
const rowType = (wide: boolean): string => (wide ? "vec4f" : "f32");

const few = kernelFamily((form: FewForm) => {
  const width = form.wide ? 4 : 1;
  return defineKernel({
    name: `expert-product few${form.half ? " f16" : ""}`,
    bindings: { x: `read array<${rowType(form.wide)}>`, w: `read array<${weightType(form)}>`, ids: "read array<u32>", y: "write array<f32>" },
    params: { k: "u32", n: "u32", fan: "u32", first: "u32", experts: "u32", last: "u32" },
    code: wgsl`
var<workgroup> parts: array<f32, 64>;
${reader(form)}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let pair = group.y;
  let own = min(ids[pair], params.last) - params.first;
  let live = own < params.experts;
  let column = group.x * 8u + lane / 8u;
  let wBase = (select(0u, own, live) * params.n + min(column, params.n - 1u)) * params.k;
  let xBase = pair / params.fan * params.k;
  let steps = select(0u, params.k, live);
  var sum = 0.0;
  for (var k = lane % 8u * ${width}u; k < steps; k += ${8 * width}u) {
    sum += ${form.wide ? "dot(x[(xBase + k) >> 2u], w4(wBase + k))" : "x[xBase + k] * w1(wBase + k)"};
  }
  parts[lane] = sum;
  workgroupBarrier();
  if ((lane % 8u == 0u) & (column < params.n) & live) {
    var total = 0.0;
    for (var i = 0u; i < 8u; i++) { total += parts[lane + i]; }
    y[pair * params.n + column] = total;
  }
}`,
  });
});

/** x [rows, K], where pair p reads row p / `fan`, w [E, N, K] and the pairs' experts → [P, N]; all contiguous. */
export function fewProduct(x: Tensor, w: Tensor, ids: Tensor, fan: number): Tensor {
  const { engine } = x;
  const [, n, k] = w.shape as [number, number, number];
  const pairs = ids.size;
  const y = engine.empty([pairs, n]);
  const kernel = few({ wide: k % 4 === 0, half: w.dtype === "f16" });
  for (const { first, count: experts, slice } of runsOf(w)) {
    engine.gpu.dispatch(kernel, { x: x.slice(), w: slice, ids: ids.slice(), y: y.slice() }, { k, n, fan, first, experts, last: w.shape[0]! - 1 }, [Math.ceil(n / 8), pairs]);
  }
  return y;
}
