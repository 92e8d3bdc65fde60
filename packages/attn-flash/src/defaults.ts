import { PolyheadError } from "@polyhead/core";
import type { Gpu } from "@polyhead/gpu";
import type { BackwardChoice, ForwardChoice } from "./choose.ts";
import { refusal } from "./limits.ts";
import type { FlashShape } from "./shape.ts";
import { templateName, type FlashTemplate, type Pass, type RowTemplate } from "./spec.ts";

type Device = Pick<Gpu, "caps" | "info">;

/** A choice in a few letters, as records and plans print it. */
export const choiceName = ({ template, splits, packed }: ForwardChoice): string => `${templateName(template)}${splits > 1 ? ` /${splits}` : ""}${packed ? " packed" : ""}`;

const tile = (x: number, y: number, rows: number, keys: number): FlashTemplate => ({ kind: "tile", x, y, rows, keys });

/**
 * Rows a step where a thread owns a row and nothing is staged. Eight take 0.6 to 0.9 of the time of four on software
 * adapters (heads of 64, 256 rows), but in dkv one of them compiles eight for more than half a minute.
 */
export const directKeys = (pass: Pass): number => (pass === "dkv" ? 4 : 8);

/** The smallest power of two that is at least n. */
const powerOf = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** The largest power of two that is at most n. */
const below = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));

/**
 * The shipped table: what is used where nothing was measured, best first; the first that the device and the shape allow is
 * taken. Software adapters run a subgroup on SIMD units and emulate workgroup memory, so theirs are tall subgroup tiles.
 * Hardware gets register tiles with workgroup memory for many rows, and a subgroup a row group for few.
 */
function table({ caps: { subgroupSize: lanes }, info: { software } }: Device, pass: Pass, rows: number, most = Infinity): FlashTemplate[] {
  const subgroup = (r: number, keys: number): FlashTemplate[] => (lanes >= 4 ? [{ kind: "subgroup", lanes, rows: r, keys, subgroups: 1 }] : []);
  const direct: RowTemplate = { kind: "row", threads: Math.min(64, most), keys: directKeys(pass), staged: false };
  if (software) {
    // Compiling a tall tile takes longer than a short problem takes to run.
    const few = pass === "forward" && rows <= 8 ? subgroup(powerOf(rows), 4) : [];
    const many = rows > 128 ? subgroup(16, 4) : [];
    return [...few, ...many, ...subgroup(8, 2), ...subgroup(4, 2), ...subgroup(2, 2), direct, tile(8, 8, 4, 4), tile(16, 4, 2, 2), { kind: "unfused" }];
  }
  return [
    ...(pass === "forward" && rows <= 8 ? subgroup(powerOf(rows), lanes >= 32 ? 1 : 4) : []),
    tile(16, 16, 4, 4), tile(16, 8, 4, 4), tile(8, 8, 4, 4), tile(16, 4, 2, 2),
    ...subgroup(8, 1), { ...direct, keys: 4, staged: true }, direct, { kind: "unfused" },
  ];
}

/** @throws PolyheadError `ATTN_BLOCKS` where block lists rule out all that the shape leaves. */
function first(gpu: Device, shape: FlashShape, pass: Pass, rows: number): FlashTemplate {
  const found = table(gpu, pass, rows, shape.tile?.[pass === "dkv" ? "k" : "q"]).find((t) => refusal(t, shape, gpu.caps, pass) === undefined);
  if (found === undefined) throw new PolyheadError("ATTN_BLOCKS", `block lists for heads of ${shape.d} and ${shape.dv}, which no fused template takes in ${pass}; expected smaller heads`, "leave the block lists out: the mask says the same");
  return found;
}

/** Workgroups that keep a device busy. */
const enough = ({ info }: Device): number => (info.software ? 16 : 512);

export function defaultForward(gpu: Device, shape: FlashShape): ForwardChoice {
  const { batch, heads, kvHeads, queries, keys } = shape;
  const packed = kvHeads < heads && queries <= 8;
  const rows = packed ? (queries * heads) / kvHeads : queries;
  const template = first(gpu, shape, "forward", rows);
  const workgroups = batch * (packed ? kvHeads : heads) * Math.ceil(rows / 16);
  // Heads of a group that are packed make many rows of one query, and still few workgroups.
  const splits = queries > 64 ? 1 : Math.min(64, below(Math.max(1, enough(gpu) / workgroups)), below(Math.max(1, keys / 256)));
  return { template, splits: template.kind === "unfused" ? 1 : splits, packed };
}

export function defaultBackward(gpu: Device, shape: FlashShape, pass: "dq" | "dkv"): BackwardChoice {
  return { template: first(gpu, shape, pass, pass === "dq" ? shape.queries : shape.keys) };
}
