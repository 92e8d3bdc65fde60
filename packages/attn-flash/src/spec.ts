import type { Mask, QkPairHook } from "@polyhead/core";
import type { ScoreProgram } from "@polyhead/attn-mha/kernel";

/**
 * A: one subgroup owns `rows` rows. Scores: lanes are the other side's rows, `keys` of them each; sums: lanes are columns.
 * No workgroup memory, no barrier. `subgroups` of them, which share nothing, make a workgroup.
 */
export interface SubgroupTemplate {
  readonly kind: "subgroup";
  /** Size of a subgroup on this device, the same for all. */
  readonly lanes: number;
  readonly rows: number;
  readonly keys: number;
  readonly subgroups: number;
}

/**
 * B: a thread owns a row, `keys` of the other side a step. With `staged`, the workgroup shares them through workgroup memory;
 * without, every thread reads them itself, from a cache that all hit at once.
 */
export interface RowTemplate {
  readonly kind: "row";
  readonly threads: number;
  readonly keys: number;
  readonly staged: boolean;
}

/** C: `x` × `y` threads, each `rows` × `keys` scores in registers; weights pass through workgroup memory. Needs no feature. */
export interface TileTemplate {
  readonly kind: "tile";
  readonly x: number;
  readonly y: number;
  readonly rows: number;
  readonly keys: number;
}

/** D: scores, weights and output as tensors of their own: `unfusedAttention`. */
export interface UnfusedTemplate {
  readonly kind: "unfused";
}

export type FusedTemplate = SubgroupTemplate | RowTemplate | TileTemplate;
export type FlashTemplate = FusedTemplate | UnfusedTemplate;

export const isFused = (t: FlashTemplate): t is FusedTemplate => t.kind !== "unfused";

/** Rows of one side that a tile of a template takes together: what must lie within one block of a list. */
export const tileRows = (t: FusedTemplate): number => (t.kind === "subgroup" ? t.rows : t.kind === "row" ? t.threads : t.y * t.rows);

/** Rows that a workgroup of a template owns: a tile, or one of each subgroup. */
export const rowsOf = (t: FusedTemplate): number => tileRows(t) * (t.kind === "subgroup" ? t.subgroups : 1);

/** The three passes over scores; each has a winner of its own. */
export type Pass = "forward" | "dq" | "dkv";

/** A template in a few letters, as plans and tables print it. */
export function templateName(t: FlashTemplate): string {
  switch (t.kind) {
    case "subgroup":
      return `A${t.lanes} ${t.rows}×${t.keys * t.lanes}${t.subgroups > 1 ? ` ×${t.subgroups}` : ""}`;
    case "row":
      return `B${t.threads} ×${t.keys}${t.staged ? " staged" : ""}`;
    case "tile":
      return `C${t.x}×${t.y} ${t.y * t.rows}×${t.x * t.keys}`;
    case "unfused":
      return "D";
  }
}

/** What a kernel is specialised by, beside its template. Lengths, strides, offsets and scale are scalars of a dispatch. */
export interface FlashForm {
  /** Head sizes of q and k, and of v: multiples of four. */
  readonly d: number;
  readonly dv: number;
  /** q is f16. */
  readonly halfQ: boolean;
  /** k and v are f16. */
  readonly half: boolean;
  readonly mask: Mask;
  readonly program: ScoreProgram;
  /** The qk hook that is applied to rows as they are read. */
  readonly qk: QkPairHook | undefined;
  readonly bias: boolean;
  readonly starts: boolean;
  readonly lengths: boolean;
  /** Rows of a page where k and v are pages of a pool, else 0. */
  readonly page: number;
  /** The query heads of a group are rows of one problem, so that they share the keys they read. */
  readonly packed: boolean;
  /** Lists name the blocks that are walked: kernels/blocks.ts. */
  readonly blocks: boolean;
}

/** Equal for forms that give equal code. */
export const formKey = ({ program, qk, mask: _, ...rest }: FlashForm): string => `${JSON.stringify(rest)}#${program.key}#${qk === undefined ? "" : qkKey(qk)}`;

const qkKey = ({ program, layout, rotaryDim, applies }: QkPairHook): string => [program.key, layout, rotaryDim, applies].join();
