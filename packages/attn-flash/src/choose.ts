import type { Gpu } from "@polyhead/gpu";
import type { FlashShape } from "./shape.ts";
import type { FlashTemplate, FusedTemplate } from "./spec.ts";

export interface ForwardChoice {
  readonly template: FlashTemplate;
  /** Workgroups that share the keys of a row, to keep a device busy with few rows. */
  readonly splits: number;
  /** Query heads of a group share a workgroup. */
  readonly packed: boolean;
}

/** How one class of problems is computed. */
export interface FlashChoice {
  readonly forward: ForwardChoice;
  readonly dq: FusedTemplate;
  readonly dkv: FusedTemplate;
}

export function choose(gpu: Pick<Gpu, "caps" | "info">, shape: FlashShape): FlashChoice {
  const lanes = gpu.caps.subgroupSize;
  const rows = shape.queries * (shape.queries <= 8 ? shape.heads / shape.kvHeads : 1);
  const few = rows <= 4 ? 4 : 8;
  return {
    forward: { template: shape.queries <= 64 ? { kind: "subgroup", lanes, rows: few, keys: 2, subgroups: 1 } : { kind: "subgroup", lanes, rows: 16, keys: 4, subgroups: 1 }, splits: 1, packed: shape.queries <= 8 },
    dq: { kind: "subgroup", lanes, rows: 8, keys: 2, subgroups: 1 },
    dkv: { kind: "subgroup", lanes, rows: 8, keys: 2, subgroups: 1 },
  };
}
