// Products of rows with the matrices of their experts.
//   x       [rows, K]     a row serves `fan` neighbouring pairs: pair p reads row p / fan
//   w       [E, N, K]     or [E, K, N] for the gradient of x; bound in runs of experts where it is larger than a binding
//   y       [P, N]        by pair
//   order, starts, tiles  see expert-rows.ts
//   product: a workgroup owns a tile of pairs and up to 256 columns, a thread 8 of the rows and 4 columns
//   few:     a workgroup owns one pair and 8 columns, 8 threads share K; for so few pairs that sorting them would not pay
//   weights: dw[e] = Σ g[p]ᵀ x[p / fan] over the pairs of e, in the order of the pairs: a workgroup owns 64 × 32 entries of one expert.
//            No atomics on floats, and an expert without pairs gets zeros
//   `wide` reads four numbers at a time; it needs K and N to be multiples of 4
import { defineKernel, kernelFamily, wgsl, type BufferSlice } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import type { SortedPairs, TileRows } from "./expert-rows.ts";

interface Form {
  readonly wide: boolean;
  /** w holds f16 numbers, two to a word. */
  readonly half: boolean;
  /** w is [E, N, K]. */
  readonly alongK: boolean;
}

const QUAD = [0, 1, 2, 3] as const;

/** `w4(i)` from an index that is a multiple of 4, or `w1(i)`. */
function reader({ wide, half }: Pick<Form, "wide" | "half">): string {
  if (wide) return half ? wgsl`fn w4(i: u32) -> vec4f { let v = w[i >> 2u]; return vec4f(unpack2x16float(v.x), unpack2x16float(v.y)); }` : wgsl`fn w4(i: u32) -> vec4f { return w[i >> 2u]; }`;
  return half ? wgsl`fn w1(i: u32) -> f32 { return unpack2x16float(w[i >> 1u])[i & 1u]; }` : wgsl`fn w1(i: u32) -> f32 { return w[i]; }`;
}

const weightType = ({ wide, half }: Pick<Form, "wide" | "half">): string => (half ? (wide ? "vec2u" : "u32") : wide ? "vec4f" : "f32");
const rowType = (wide: boolean): string => (wide ? "vec4f" : "f32");

/** One step of K for `rows` rows and four columns at `column`: four numbers of K where `wide`, else one. */
function step({ wide, alongK }: Form, rows: readonly number[]): readonly string[] {
  if (!wide) {
    const at = (j: number): string => (alongK ? `wBase + min(column + ${j}u, last) * params.k + k` : `wBase + k * params.n + min(column + ${j}u, last)`);
    return [`let b = vec4f(${QUAD.map((j) => `w1(${at(j)})`).join(", ")});`, ...rows.map((r) => `c${r} += x[x${r} + k] * b;`)];
  }
  const at = (j: number): string => (alongK ? `wBase + min(column + ${j}u, last) * params.k + k` : `wBase + (k + ${j}u) * params.n + min(column, last - 3u)`);
  return [
    ...QUAD.map((j) => `let b${j} = w4(${at(j)});`),
    ...rows.flatMap((r) => [`let a${r} = x[(x${r} + k) >> 2u];`, alongK ? `c${r} += vec4f(${QUAD.map((j) => `dot(a${r}, b${j})`).join(", ")});` : QUAD.map((j) => `c${r} += a${r}[${j}] * b${j};`).join(" ")]),
  ];
}

const store = (wide: boolean, at: string, value: string): string =>
  wide ? wgsl`if (column < params.n) { y[(${at} + column) >> 2u] = ${value}; }` : wgsl`for (var j = 0u; j < 4u; j++) { if (column + j < params.n) { y[${at} + column + j] = ${value}[j]; } }`;

/** Rows of a thread. */
const ROWS = Array.from({ length: 8 }, (_, r) => r);

/** `across` threads of four columns each stand side by side. */
const product = kernelFamily((form: Form & { readonly tile: TileRows; readonly across: number }) =>
  defineKernel({
    name: `expert-product ${form.tile}x${4 * form.across}${form.alongK ? "" : " back"}${form.half ? " f16" : ""}`,
    bindings: { x: `read array<${rowType(form.wide)}>`, w: `read array<${weightType(form)}>`, order: "read array<u32>", starts: "read array<u32>", tiles: "read array<u32>", y: `write array<${rowType(form.wide)}>` },
    params: { tiles: "u32", pairs: "u32", k: "u32", n: "u32", fan: "u32", first: "u32", experts: "u32" },
    code: wgsl`
${reader(form)}
@compute @workgroup_size(${(form.across * form.tile) / 8})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = min(group.y + group.z * groups.y, params.tiles - 1u);
  // Of NO_EXPERT too, this is past the bound run.
  let own = tiles[2u * t] - params.first;
  let live = own < params.experts;
  let expert = select(0u, own, live);
  let end = select(0u, starts[params.first + expert + 1u], live);
  let steps = select(0u, params.k, live);
  let wBase = expert * params.n * params.k;
  let last = params.n - 1u;
  let column = (group.x * ${form.across}u + lane % ${form.across}u) * 4u;
  let s0 = tiles[2u * t + 1u] + lane / ${form.across}u * 8u;
  ${ROWS.map((r) => `let p${r} = order[min(s0 + ${r}u, params.pairs - 1u)];\n  let x${r} = p${r} / params.fan * params.k;\n  var c${r} = vec4f(0.0);`)}
  for (var k = 0u; k < steps; k += ${form.wide ? 4 : 1}u) {
    ${step(form, ROWS)}
  }
  ${ROWS.map((r) => `if (s0 + ${r}u < end) { ${store(form.wide, `p${r} * params.n`, `c${r}`)} }`)}
}`,
  }),
);

const few = kernelFamily((form: Pick<Form, "wide" | "half">) => {
  const width = form.wide ? 4 : 1;
  return defineKernel({
    name: `expert-product few${form.half ? " f16" : ""}`,
    bindings: { x: `read array<${rowType(form.wide)}>`, w: `read array<${weightType(form)}>`, ids: "read array<u32>", y: "write array<f32>" },
    params: { pairs: "u32", k: "u32", n: "u32", fan: "u32", first: "u32", experts: "u32" },
    code: wgsl`
var<workgroup> parts: array<f32, 64>;
${reader(form)}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let pair = group.y;
  let own = ids[pair] - params.first;
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

const weightGradient = kernelFamily(({ wide }: Pick<Form, "wide">) =>
  defineKernel({
    name: "expert-product weights",
    bindings: { g: `read array<${rowType(wide)}>`, x: `read array<${rowType(wide)}>`, order: "read array<u32>", starts: "read array<u32>", dw: `write array<${rowType(wide)}>` },
    params: { k: "u32", n: "u32", fan: "u32", first: "u32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let expert = params.first + group.z;
  let row = group.y * 64u + lane / 8u * 8u;
  let column = group.x * 32u + lane % 8u * 4u;
  ${ROWS.map((r) => `var c${r} = vec4f(0.0);`)}
  let end = starts[expert + 1u];
  for (var s = starts[expert]; s < end; s++) {
    let pair = order[s];
    let gBase = pair * params.n;
    let xBase = pair / params.fan * params.k;
    ${
      wide
        ? `let b = x[(xBase + min(column, params.k - 4u)) >> 2u];
    let a0 = g[(gBase + min(row, params.n - 4u)) >> 2u];
    let a1 = g[(gBase + min(row + 4u, params.n - 4u)) >> 2u];`
        : `let b = vec4f(${QUAD.map((i) => `x[xBase + min(column + ${i}u, params.k - 1u)]`).join(", ")});
    ${[0, 1].map((h) => `let a${h} = vec4f(${QUAD.map((i) => `g[gBase + min(row + ${4 * h + i}u, params.n - 1u)]`).join(", ")});`).join("\n    ")}`
    }
    ${ROWS.map((r) => `c${r} += a${r >> 2}[${r & 3}] * b;`)}
  }
  let base = group.z * params.n * params.k;
  ${ROWS.map((r) =>
    wide
      ? `if ((row + ${r}u < params.n) & (column < params.k)) { dw[(base + (row + ${r}u) * params.k + column) >> 2u] = c${r}; }`
      : `for (var j = 0u; j < 4u; j++) { if ((row + ${r}u < params.n) & (column + j < params.k)) { dw[base + (row + ${r}u) * params.k + column + j] = c${r}[j]; } }`,
  )}
}`,
  }),
);

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

/** Tiles along y, and along z what does not fit. */
const tileGrid = (columns: number, tiles: number): [number, number, number] => {
  const y = Math.min(tiles, 65_535);
  return [columns, y, Math.ceil(tiles / y)];
};

/** x [rows, K] and w [E, N, K] (`back`: [E, K, N]) → [P, N] by pair; all contiguous. */
export function sortedProduct(x: Tensor, w: Tensor, { order, starts, tiles, tile }: SortedPairs, fan: number, back: boolean): Tensor {
  const { engine } = x;
  const [, outputs, inputs] = w.shape as [number, number, number];
  const [n, k] = back ? [inputs, outputs] : [outputs, inputs];
  const pairs = order.size;
  const y = engine.empty([pairs, n]);
  const count = tiles.shape[0]!;
  // A tile is 64 threads, unless there are fewer columns than they take.
  const across = Math.min(512 / tile, Math.max(8, 2 ** Math.ceil(Math.log2(n / 4))));
  const kernel = product({ tile, across, wide: n % 4 === 0 && k % 4 === 0, half: w.dtype === "f16", alongK: !back });
  for (const { first, count: experts, slice } of runsOf(w)) {
    engine.gpu.dispatch(kernel, { x: x.slice(), w: slice, order: order.slice(), starts: starts.slice(), tiles: tiles.slice(), y: y.slice() }, { tiles: count, pairs, k, n, fan, first, experts }, tileGrid(Math.ceil(n / (4 * across)), count));
  }
  return y;
}

/** x [rows, K], w [E, N, K] and the pairs' experts → [P, N]; all contiguous. */
export function fewProduct(x: Tensor, w: Tensor, ids: Tensor, fan: number): Tensor {
  const { engine } = x;
  const [, n, k] = w.shape as [number, number, number];
  const pairs = ids.size;
  const y = engine.empty([pairs, n]);
  const kernel = few({ wide: k % 4 === 0, half: w.dtype === "f16" });
  for (const { first, count: experts, slice } of runsOf(w)) {
    engine.gpu.dispatch(kernel, { x: x.slice(), w: slice, ids: ids.slice(), y: y.slice() }, { pairs, k, n, fan, first, experts }, [Math.ceil(n / 8), pairs]);
  }
  return y;
}

/** g [P, N] and x [rows, K] → [E, N, K]; all contiguous. */
export function weightProduct(g: Tensor, x: Tensor, { order, starts }: SortedPairs, fan: number, experts: number): Tensor {
  const { engine } = g;
  const [n, k] = [g.shape.at(-1)!, x.shape.at(-1)!];
  const dw = engine.empty([experts, n, k]);
  const kernel = weightGradient({ wide: n % 4 === 0 && k % 4 === 0 });
  for (const { first, count, slice } of runsOf(dw)) {
    engine.gpu.dispatch(kernel, { g: g.slice(), x: x.slice(), order: order.slice(), starts: starts.slice(), dw: slice }, { k, n, fan, first }, [Math.ceil(k / 32), Math.ceil(n / 64), count]);
  }
  return dw;
}
