// One binding for all that hooks, mask, padding and pages read, so that every kernel stays within eight storage buffers:
//   tables: array<i32>   captures (f32 as bits), end to end; then starts [B], lengths [B], page table
//                        [B, params.pages], lists of blocks (kernels/blocks.ts)
import type { Capture } from "@polyhead/core";
import type { ParamType } from "@polyhead/gpu";
import { offsetsOf, scalarName } from "@polyhead/attn-mha/kernel";
import { tableLoader } from "@polyhead/tensor";
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
    functions: tables.map((capture, n) => tableLoader(capture, { name: `table${n}`, array: "tables", offset: offsets.get(capture) ?? 0, bits: true })).join("\n"),
    read: (capture, index) => {
      const scalar = scalars.indexOf(capture);
      return scalar >= 0 ? `params.${scalarName(scalar)}` : `table${tables.indexOf(capture)}(${index.join(", ")})`;
    },
  };
}
