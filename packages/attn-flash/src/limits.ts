import type { GpuCaps } from "@polyhead/gpu";
import type { FlashShape } from "./shape.ts";
import type { FlashTemplate, Pass } from "./spec.ts";

/** Why a template cannot, or should not, be used for a shape; undefined where it may. */
export function refusal(t: FlashTemplate, { queries, keys, heads, kvHeads, d, dv }: FlashShape, caps: Pick<GpuCaps, "invocations" | "workgroupBytes" | "subgroups" | "subgroupSize">, pass: Pass): string | undefined {
  const rows = pass === "dkv" ? keys : queries <= 64 ? queries * (heads / kvHeads) : queries;
  switch (t.kind) {
    case "unfused":
      return undefined;
    case "subgroup": {
      if (caps.subgroupSize !== t.lanes) return `it needs subgroups of ${t.lanes}, the device has ${caps.subgroupSize === 0 ? "none of one size" : caps.subgroupSize}`;
      if (t.lanes * t.subgroups > caps.invocations) return `it takes ${t.lanes * t.subgroups} invocations, the device allows ${caps.invocations}`;
      if (t.rows * t.subgroups > 8 && t.rows * t.subgroups >= 2 * rows) return `its ${t.rows * t.subgroups} rows are mostly idle for ${rows}`;
      const values = t.rows * (2 * t.keys + Math.ceil((pass === "forward" ? dv : pass === "dq" ? d : d + dv) / t.lanes));
      // CPU devices keep what does not fit in registers on a stack in cache; a GPU spills to memory.
      return t.lanes >= 16 && values > 256 ? `it keeps ${values} values a lane` : undefined;
    }
    case "row":
      if (d + dv > 256) return `it keeps rows of ${d} and ${dv} values in registers`;
      return t.threads > caps.invocations ? `it takes ${t.threads} invocations, the device allows ${caps.invocations}` : undefined;
    case "tile":
      return "not yet";
  }
}
