import type { GpuCaps } from "@polyhead/gpu";
import { rowValues, stagedRows } from "./kernels/row-parts.ts";
import { tileLayout } from "./kernels/tile-parts.ts";
import type { FlashShape } from "./shape.ts";
import { isFused, tileRows, type FlashTemplate, type Pass } from "./spec.ts";

/** Why a template cannot, or should not, be used for a shape; undefined where it may. */
export function refusal(t: FlashTemplate, shape: FlashShape, caps: Pick<GpuCaps, "invocations" | "workgroupBytes" | "subgroups" | "subgroupSize">, pass: Pass): string | undefined {
  return straddles(t, shape, pass) ?? tooMuch(t, shape, caps, pass);
}

/** Why a template cannot follow the block lists of a shape. */
export function straddles(t: FlashTemplate, { tile }: Pick<FlashShape, "tile">, pass: Pass): string | undefined {
  if (tile === undefined) return undefined;
  if (!isFused(t)) return "it has all scores in memory, whatever block lists say";
  const most = tile[pass === "dkv" ? "k" : "q"];
  return most !== Infinity && most % tileRows(t) !== 0 ? `its tiles have ${tileRows(t)} rows, of which ${most} are no multiple` : undefined;
}

function tooMuch(t: FlashTemplate, { queries, keys, heads, kvHeads, d, dv }: FlashShape, caps: Pick<GpuCaps, "invocations" | "workgroupBytes" | "subgroups" | "subgroupSize">, pass: Pass): string | undefined {
  const rows = pass === "dkv" ? keys : queries <= 64 ? queries * (heads / kvHeads) : queries;
  switch (t.kind) {
    case "unfused":
      return undefined;
    case "subgroup": {
      if (caps.subgroupSize !== t.lanes) return `it needs subgroups of ${t.lanes}, the device has ${caps.subgroupSize === 0 ? "none of one size" : caps.subgroupSize}`;
      if (t.lanes * t.subgroups > caps.invocations) return `it takes ${t.lanes * t.subgroups} invocations, the device allows ${caps.invocations}`;
      if (t.rows * t.subgroups >= (t.rows * t.subgroups > 8 ? 2 : 4) * rows) return `its ${t.rows * t.subgroups} rows are mostly idle for ${rows}`;
      const columns = (size: number): number => 4 * Math.ceil(size / 4 / t.lanes);
      const values = t.rows * (2 * t.keys + (pass === "forward" ? columns(dv) : pass === "dq" ? columns(d) : columns(d) + columns(dv)));
      return values > mostValues(t.lanes) ? `it keeps ${values} values a lane` : undefined;
    }
    case "row":
      if (d + dv > rowValues(t)) return `it keeps rows of ${d} and ${dv} values a thread`;
      if (t.threads > caps.invocations) return `it takes ${t.threads} invocations, the device allows ${caps.invocations}`;
      return memory(t, { d, dv }, caps);
    case "tile": {
      if (t.x * t.y > caps.invocations) return `it takes ${t.x * t.y} invocations, the device allows ${caps.invocations}`;
      if (t.y * t.rows > 8 && t.y * t.rows >= 2 * rows) return `its ${t.y * t.rows} rows are mostly idle for ${rows}`;
      const slots = (size: number): number => Math.ceil(size / 4 / t.x);
      const values = t.rows * (4 * (pass === "forward" ? slots(dv) : pass === "dq" ? slots(d) : slots(d) + slots(dv)) + t.keys * (pass === "forward" ? 1 : 2));
      return values > 192 ? `it keeps ${values} values a thread` : memory(t, { d, dv }, caps);
    }
  }
}

/**
 * Values that a lane may keep. A GPU spills to memory beyond its registers. CPU adapters spill to cache, but their compilers
 * take ever longer: eight lanes wide 8 s for 320 values and 16 s for 512, four lanes wide half of that.
 */
const mostValues = (lanes: number): number => (lanes >= 16 ? 256 : lanes >= 8 ? 400 : 600);

/** Workgroup memory that a template takes for heads of these sizes, of any pass. */
export function workgroupBytes(t: FlashTemplate, sizes: Pick<FlashShape, "d" | "dv">): number {
  switch (t.kind) {
    case "unfused":
    case "subgroup":
      return 0;
    case "row":
      return 4 * stagedRows(t, sizes) * (sizes.d + sizes.dv);
    case "tile":
      return tileLayout(t, sizes).bytes;
  }
}

function memory(t: FlashTemplate, sizes: Pick<FlashShape, "d" | "dv">, caps: Pick<GpuCaps, "workgroupBytes">): string | undefined {
  const bytes = workgroupBytes(t, sizes);
  return bytes > caps.workgroupBytes ? `it takes ${bytes} bytes of workgroup memory, the device allows ${caps.workgroupBytes}` : undefined;
}
