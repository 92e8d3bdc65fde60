import { linearIndex, type Capture } from "@polyhead/expr";

/**
 * What an index outside of its table reads. `nan` (for an i32 table: the smallest i32) is loud, as the oracle's error is,
 * and harmless in the branch of a choice that is not taken. `clamp` reads the nearest element.
 */
export type OutsideRead = "nan" | "clamp";

export interface TableLoaderOptions {
  /** Name of the function. */
  readonly name: string;
  /** The WGSL array that holds the table, of its type or, with `bits`, of i32. */
  readonly array: string;
  /** Where the table starts in it. Default 0. */
  readonly offset?: number;
  /** The array is of i32, and an f32 table lies in it as bits. Default false. */
  readonly bits?: boolean;
  /** Default `nan`. */
  readonly outside?: OutsideRead;
}

/**
 * WGSL of the function `name(i0: i32, …)` that reads an element of a table. It has no branch, which compilers would copy to
 * wherever it is called, each cell of a tile included.
 */
export function tableLoader({ shape, type }: Capture, { name, array, offset = 0, bits = false, outside = "nan" }: TableLoaderOptions): string {
  const index = shape.map((_, axis) => `i${axis}`);
  const value = (at: string): string => (bits && type === "f32" ? `bitcast<f32>(${array}[${offset}u + ${at}])` : `${array}[${offset}u + ${at}]`);
  const head = `fn ${name}(${index.map((i) => `${i}: i32`).join(", ")}) -> ${type}`;
  if (shape.length === 0) return `${head} { return ${value("0u")}; }`;
  if (outside === "clamp") return `${head} { return ${value(linearIndex(shape, shape.map((extent, axis) => `clamp(i${axis}, 0i, ${extent - 1}i)`)))}; }`;
  // Or-ing the index in keeps compilers from seeing a constant NaN, which WGSL forbids.
  const loud = type === "f32" ? "bitcast<f32>(0x7fc00000u | (u32(i0) & 1u))" : "(-2147483647i - 1i)";
  return `${head} {
  let outside = ${shape.map((extent, axis) => `(i${axis} < 0i) | (i${axis} >= ${extent}i)`).join(" | ")};
  return select(${value(`select(${linearIndex(shape, index)}, 0u, outside)`)}, ${loud}, outside);
}`;
}
