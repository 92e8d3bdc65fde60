import type { Count, KeyPages } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import type { Engine, Tensor } from "@polyhead/tensor";
import { writeRowsKernel } from "../kernels/write-rows.ts";

/** Keys and values. */
export interface KeyValue {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** What the storage of a cache is made of: `blocks` (sequences or pages) of `rows` rows. */
export interface StorageShape {
  readonly blocks: number;
  readonly kvHeads: number;
  readonly rows: number;
  readonly headDim: number;
  /** Values are the first features of their keys, this many, and take no memory of their own; of halves there are no views, so all of them. */
  readonly sharedValues?: number | undefined;
  readonly dtype: "f32" | "f16";
}

/**
 * Storage `[blocks, Hkv, rows, D]` that nobody has written yet and that lives until `dispose`. Halves are packed two to a word; a
 * row is added where a block would share a word with the next.
 */
export function keyValueStorage(engine: Engine, { blocks, kvHeads, rows, headDim, sharedValues, dtype }: StorageShape): KeyValue {
  const even = dtype === "f16" && headDim % 2 === 1 ? rows + (rows % 2) : rows;
  const make = (): Tensor => engine.keep(engine.empty([blocks, kvHeads, even, headDim], dtype));
  const k = make();
  if (sharedValues === undefined) return { k, v: make() };
  return { k, v: dtype === "f16" ? k : engine.keep(k.narrow(3, 0, sharedValues)) };
}

export interface WriteRowsOptions {
  /** The first row is written here. */
  readonly at: Count;
  /** First row that is read. Default 0. */
  readonly start?: number;
  /** Rows that are written. Default: all of the source. */
  readonly count?: number;
  /** Where the destination is a pool of pages. */
  readonly pages?: KeyPages<Tensor>;
  /** Values are a view of the keys: there is nothing more to write. */
  readonly shared?: boolean;
}

/** Writes rows `[B, Hkv, T, D]` of `source` into `dest`, keys and values in one dispatch; f32 rounds to nearest even where `dest` is f16. */
export function writeRows(dest: KeyValue, source: KeyValue, { at, start = 0, count, pages, shared = false }: WriteRowsOptions): void {
  const [batch = 0, heads = 0, all = 0, kSize = 0] = source.k.shape;
  const vSize = source.v.shape[3]!;
  const rows = count ?? all - start;
  if (rows === 0 || batch === 0) return;
  const dtypes = { source: half(source.k), dest: half(dest.k) };
  const packed = (features: number): number => (dtypes.dest === "f16" ? Math.floor((rows * features) / 2) + 1 : rows * features);
  const items = batch * heads * packed(shared ? kSize : Math.max(kSize, vSize));
  const [x, y] = flatGrid(items, 64);
  dest.k.engine.gpu.dispatch(
    writeRowsKernel({ ...dtypes, paged: pages !== undefined, keysOnly: shared }),
    { kIn: source.k.all(), ...(pages && { table: pages.table.slice() }), kOut: dest.k.slice(), ...(!shared && { vIn: source.v.all(), vOut: dest.v.slice() }) },
    {
      at, rows, batch, heads, size: dest.k.shape[2]!, columns: pages?.table.shape[1] ?? 0, kSize,
      ...strides("k", source.k, start),
      ...(!shared && { vSize, ...strides("v", source.v, start) }),
    },
    [x, y, shared ? 1 : 2],
  );
}

const half = ({ dtype }: Tensor): "f32" | "f16" => (dtype === "f16" ? "f16" : "f32");

function strides(name: "k" | "v", { offset, strides: [b = 0, h = 0, t = 0, d = 0] }: Tensor, start: number): Record<string, number> {
  return { [`${name}Start`]: offset + start * t, [`${name}B`]: b, [`${name}H`]: h, [`${name}T`]: t, [`${name}D`]: d };
}

/** Bytes of the numbers that are stored. */
export const bytesOf = ({ k, v }: KeyValue, shared = false): number => (k.size + (shared ? 0 : v.size)) * (k.dtype === "f16" ? 2 : 4);
