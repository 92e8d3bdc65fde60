// One binding for all that hooks, mask, padding and pages read, so that every kernel stays within eight storage buffers:
//   tables: array<i32>   captures (f32 as bits), end to end; then starts [B], lengths [B], page table
//                        [B, params.pages], lists of blocks (kernels/blocks.ts)
import { linearIndex, type Capture } from "@polyhead/core";
import type { ParamType } from "@polyhead/gpu";
import { offsetsOf, scalarName } from "@polyhead/attn-mha/kernel";
import type { FlashForm } from "../spec.ts";
import { BLOCK_PARAMS } from "./blocks.ts";

export interface CaptureTables {
  /** With an axis, or learned: in this order in the binding. */
  readonly tables: readonly Capture[];
  /** 0-d: scalars of a dispatch. */
  readonly scalars: readonly Capture[];
}

/** The captures of a form, each once. */
export function captureTables({ program, qk }: Pick<FlashForm, "program" | "qk">): CaptureTables {
  const all = [...new Set([...program.tables.floats, ...program.tables.ints, ...program.tables.scalars, ...(qk?.program.captures ?? [])])];
  const isScalar = ({ shape, learned }: Capture): boolean => shape.length === 0 && !learned;
  return { tables: all.filter((capture) => !isScalar(capture)), scalars: all.filter(isScalar) };
}

/** Whether a kernel of this form has the binding `tables` at all. */
export const hasTables = (form: FlashForm): boolean => captureTables(form).tables.length > 0 || form.starts || form.lengths || form.page > 0 || form.blocks;

export interface TableCode {
  readonly params: Readonly<Record<string, ParamType>>;
  readonly functions: string;
  /** For `emitWgsl`. */
  readonly read: (capture: Capture, index: readonly string[]) => string;
}

export function tableCode(form: FlashForm): TableCode {
  const { tables, scalars } = captureTables(form);
  const offsets = offsetsOf(tables);
  return {
    params: {
      ...Object.fromEntries(scalars.map(({ type }, n) => [scalarName(n), type])),
      ...(form.starts && { startsAt: "u32" as const }),
      ...(form.lengths && { lengthsAt: "u32" as const }),
      ...(form.page > 0 && { pagesAt: "u32" as const, pages: "u32" as const }),
      ...(form.blocks && BLOCK_PARAMS),
    },
    functions: tables.map((capture, n) => loader(capture, n, offsets.get(capture) ?? 0)).join("\n"),
    read: (capture, index) => {
      const scalar = scalars.indexOf(capture);
      return scalar >= 0 ? `params.${scalarName(scalar)}` : `table${tables.indexOf(capture)}(${index.join(", ")})`;
    },
  };
}

/** An index outside of its table reads NaN (for integers the smallest one): loud, and harmless in a branch not taken. */
function loader(capture: Capture, n: number, offset: number): string {
  const { shape, type } = capture;
  const index = shape.map((_, axis) => `i${axis}`);
  const outside = shape.map((extent, axis) => `(i${axis} < 0i) | (i${axis} >= ${extent}i)`).join(" | ");
  // Or-ing the index in keeps compilers from seeing a constant NaN, which WGSL forbids.
  const loud = type === "f32" ? "bitcast<f32>(0x7fc00000u | (u32(i0) & 1u))" : "(-2147483647i - 1i)";
  const word = `tables[${offset}u + ${shape.length === 0 ? "0u" : `select(${linearIndex(shape, index)}, 0u, outside)`}]`;
  const value = type === "f32" ? "bitcast<f32>(word)" : "word";
  // Without a branch, which compilers copy into every cell of a tile.
  return `fn table${n}(${index.map((name) => `${name}: i32`).join(", ")}) -> ${type} {
${shape.length > 0 ? `  let outside = ${outside};\n  let word = ${word};\n  return select(${value}, ${loud}, outside);` : `  let word = ${word};\n  return ${value};`}
}`;
}
