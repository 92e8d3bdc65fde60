// What the kernels of template C share. x · y threads own a tile of y · rows own rows against x · keys of the other side.
// Thread (tx, ty) has own rows ty · rows + r, other rows t · x + tx, and columns c · x + tx of the sums of its own rows.
//   stage     slices of rows of both sides for a product, or whole other rows for a sum; in between, partial maxima
//   weights   [other row][own rows in pieces of `width`], one piece of padding a row against bank conflicts
// A thread thus reads what it needs of both in vectors, and its neighbours read next to it, or the same.
import { wgsl } from "@polyhead/gpu";
import type { FlashForm, TileTemplate } from "../spec.ts";
import { fmaDot } from "./cells.ts";
import { range } from "./frame.ts";
import { fill, WORKGROUP_BYTES } from "./share.ts";

type Sizes = Pick<FlashForm, "d" | "dv">;

export interface TileLayout {
  /** Own rows and other rows of a tile. */
  readonly own: number;
  readonly other: number;
  /** Weights of consecutive own rows that one vector holds, and the vectors from one other row to the next. */
  readonly width: 1 | 2 | 4;
  readonly stride: number;
  /** Groups of four of a row that are staged for a product at once. */
  readonly slice: number;
  /** Vectors of four in the stage, and vectors of `width` in the weights. */
  readonly stage: number;
  readonly weights: number;
  readonly bytes: number;
}

/** How a tile lies in workgroup memory: slices as deep as the promised memory takes. */
export function tileLayout({ x, y, rows, keys }: TileTemplate, { d, dv }: Sizes): TileLayout {
  const [own, other] = [y * rows, x * keys];
  const width = rows % 4 === 0 ? 4 : rows % 2 === 0 ? 2 : 1;
  const stride = own / width + 1;
  const weights = other * stride;
  const longest = Math.max(d, dv) / 4;
  const depths = [16, 8, 4, 2].filter((slice, n, all) => n === all.length - 1 || slice < 2 * longest);
  const of = (slice: number): TileLayout => {
    // The largest of: a slice of both sides, maxima of all threads, and some whole rows (one at least).
    const stage = Math.max(own * slice + other * (slice + 1), y * Math.ceil(rows / 4) * x, longest);
    return { own, other, width, stride, slice, stage, weights, bytes: 16 * stage + 4 * width * weights };
  };
  const layouts = depths.map(of);
  // Tiles too large for that are for devices that have twice as much, as most do.
  return layouts.find(({ bytes }) => bytes <= WORKGROUP_BYTES) ?? layouts.find(({ bytes }) => bytes <= 2 * WORKGROUP_BYTES) ?? layouts.at(-1)!;
}

/** Module scope. */
export const tileMemory = ({ stage, weights, width }: TileLayout): string => wgsl`
var<workgroup> stage: array<vec4f, ${stage}>;
var<workgroup> weights: array<${width === 1 ? "f32" : `vec${width}f`}, ${weights}>;`;

/** Reads group c of row number `n` of a tile: statements that end with `<into> = …;`. */
export type RowReader = (n: string, c: string, into: string) => string;

/** `<sum><r>_<t>` += own row · other row over `depth` groups of four, slice by slice. */
export function product(form: FlashForm, { x, y, rows, keys }: TileTemplate, layout: TileLayout, sum: string, depth: string, own: RowReader, other: RowReader): string {
  const { slice } = layout;
  const [R, T] = [range(rows), range(keys)];
  const at = layout.other * (slice + 1);
  const load = (count: number, start: number, stride: number, read: RowReader): string =>
    fill(form, count * slice, x * y, (e) => `let n = ${e} / ${slice}u; let d = d0 + ${e} % ${slice}u; if (d < ${depth}) { ${read("n", "d", `stage[${start}u + n * ${stride}u + ${e} % ${slice}u]`)} }`);
  return wgsl`
    for (var d0 = 0u; d0 < ${depth}; d0 += ${slice}u) {
      workgroupBarrier();
      ${load(layout.other, 0, slice + 1, other)}
      ${load(layout.own, at, slice, own)}
      workgroupBarrier();
      for (var d = 0u; d < min(${slice}u, ${depth} - d0); d++) {
        ${R.map((r) => `let a${r} = stage[${at}u + (ty * ${rows}u + ${r}u) * ${slice}u + d];`)}
        ${T.map((t) => `let b${t} = stage[(${t * x}u + tx) * ${slice + 1}u + d];`)}
        ${R.map((r) => T.map((t) => `${sum}${r}_${t} = ${fmaDot(`a${r}`, `b${t}`, `${sum}${r}_${t}`)};`))}
      }
    }`;
}

/** Stores a thread's `<value><r>_<t>` as weights. */
export function storeWeights({ x, rows, keys }: TileTemplate, { width, stride }: TileLayout, value: string): string[] {
  const piece = (g: number, t: number): string => range(width).map((n) => `${value}${g * width + n}_${t}`).join(", ");
  return range(keys).flatMap((t) => range(rows / width).map((g) => `weights[(${t * x}u + tx) * ${stride}u + ty * ${rows / width}u + ${g}u] = ${width === 1 ? piece(g, t) : `vec${width}f(${piece(g, t)})`};`));
}

/** `<sum><r>_<c>` += weight · other row for the first `count` (i32) other rows, which are read whole; `quads` groups of four each. */
export function sumUp(form: FlashForm, { x, y, rows }: TileTemplate, { stage, other, width, stride }: TileLayout, sum: string, quads: number, count: string, read: RowReader): string {
  const [R, C] = [range(rows), columns(quads, x)];
  const most = Math.min(other, Math.floor(stage / quads));
  const unroll = most >= 4 && other % 4 === 0 ? 4 : 1;
  // As many at once as there is room for, evenly.
  const staged = Math.ceil(other / Math.ceil(other / (most - (most % unroll))) / unroll) * unroll;
  const weight = (r: number, u: number): string => (width === 1 ? `w${u}_${r}` : `w${u}_${Math.floor(r / width)}[${r % width}u]`);
  return wgsl`
    for (var n0 = 0u; n0 < u32(${count}); n0 += ${staged}u) {
      workgroupBarrier();
      ${fill(form, staged * quads, x * y, (e) => read(`(n0 + ${e} / ${quads}u)`, `(${e} % ${quads}u)`, `stage[${e}]`))}
      workgroupBarrier();
      for (var n = 0u; n < min(${staged}u, u32(${count}) - n0); n += ${unroll}u) {
        ${range(unroll).map((u) => [
          ...range(rows / width).map((g) => `let w${u}_${g} = weights[(n0 + n + ${u}u) * ${stride}u + ty * ${rows / width}u + ${g}u];`),
          ...C.map((c) => `let v${u}_${c} = stage[(n + ${u}u) * ${quads}u + ${column(c, quads, x)}];`),
          ...R.map((r) => C.map((c) => `${sum}${r}_${c} = fma(vec4f(${weight(r, u)}), v${u}_${c}, ${sum}${r}_${c});`)).flat(),
        ])}
      }
    }`;
}

/** The columns that a thread has, in groups of four. */
export const columns = (quads: number, x: number): number[] => range(Math.ceil(quads / x));

/** Column slot c of a thread, kept inside of the row. */
export const column = (c: number, quads: number, x: number): string => ((c + 1) * x <= quads ? `${c * x}u + tx` : `min(${c * x}u + tx, ${quads - 1}u)`);

/** Stores `value(c)` for each column slot that exists, at `base`. */
export const storeColumns = (quads: number, x: number, into: string, base: string, value: (c: number) => string): string[] =>
  columns(quads, x).map((c) => `${(c + 1) * x <= quads ? "" : `if (${c * x}u + tx < ${quads}u) `}{ ${into}[${base} + ${c * x}u + tx] = ${value(c)}; }`);

/** Joins `<value><r>` over the threads of a row, all of which get it; the stage must be free. `op` of two WGSL expressions. */
export function join({ x, rows }: TileTemplate, value: string, op: (a: string, b: string) => string): string {
  const groups = Math.ceil(rows / 4);
  const G = range(groups);
  const part = (g: number): string => range(4).map((n) => (4 * g + n < rows ? `${value}${4 * g + n}` : "0.0")).join(", ");
  const at = (g: number, thread: string): string => `stage[(ty * ${groups}u + ${g}u) * ${x}u + ${thread}]`;
  return wgsl`
    workgroupBarrier();
    ${G.map((g) => `${at(g, "tx")} = vec4f(${part(g)});`)}
    workgroupBarrier();
    ${G.map((g) => `var ${value}All${g} = ${at(g, "0u")};`)}
    for (var n = 1u; n < params.lanes; n++) { ${G.map((g) => `${value}All${g} = ${op(`${value}All${g}`, at(g, "n"))};`).join(" ")} }
    ${range(rows).map((r) => `${value}${r} = ${value}All${Math.floor(r / 4)}[${r % 4}u];`)}`;
}
