import { tunerOf, type Gpu, type TuneRow } from "@polyhead/gpu";
import { choiceName, defaultBackward, defaultForward, directKeys } from "./defaults.ts";
import { refusal } from "./limits.ts";
import { shapeClass, type FlashShape } from "./shape.ts";
import { type FlashTemplate, type FusedTemplate, type Pass } from "./spec.ts";

/** Times are void when this changes: bump it with every change of a template. */
export const FAMILY = "flash@1";

export interface ForwardChoice {
  readonly template: FlashTemplate;
  /** Workgroups that share the keys of a row, to keep a device busy with few rows. */
  readonly splits: number;
  /** Query heads of a group are rows of one workgroup. */
  readonly packed: boolean;
}

export interface BackwardChoice {
  readonly template: FlashTemplate;
}

/** How one class of problems is computed, pass by pass. */
export interface FlashChoice {
  readonly forward: ForwardChoice;
  readonly dq: BackwardChoice;
  readonly dkv: BackwardChoice;
}

/** Where a choice comes from, with the numbers behind it. */
export interface FlashReason {
  readonly shape: string;
  readonly pass: Pass;
  readonly choice: string;
  readonly source: "measured" | "store" | "default";
  /** Of the winner, where it was measured. */
  readonly ms?: number;
  /** All times, fastest first. */
  readonly timings: TuneRow["timings"];
}

type Device = Pick<Gpu, "caps" | "info">;

const powers = (from: number, to: number): number[] => (from > to ? [] : [from, ...powers(2 * from, to)]);

/** Every fused template that may be worth its compile time, before any limit has been looked at. */
export function allTemplates({ caps: { subgroupSize: lanes }, info: { software } }: Device, pass: Pass): FusedTemplate[] {
  const subgroup = (rows: number, keys: number, subgroups = 1): FusedTemplate => ({ kind: "subgroup", lanes, rows, keys, subgroups });
  const shapes: readonly (readonly [number, number])[] = pass === "forward" ? [[16, 4], [32, 4], [16, 2], [8, 4], [4, 4], [2, 4], [1, 4], [1, 8]] : [[16, 4], [16, 2], [8, 2], [8, 4], [4, 2]];
  const tiles: readonly (readonly [number, number, number, number])[] = [[16, 16, 4, 4], [16, 8, 4, 4], [8, 8, 4, 4], [16, 4, 2, 2]];
  const direct: FusedTemplate = { kind: "row", threads: 64, keys: directKeys(pass), staged: false };
  // CPU adapters emulate workgroup memory and stop all threads at a barrier: compiling those would be time lost.
  if (software && lanes >= 4) return [...shapes.map(([rows, keys]) => subgroup(rows, keys)), direct];
  return [
    ...(lanes >= 4 ? [...shapes.map(([rows, keys]) => subgroup(rows, keys)), ...(lanes >= 16 ? shapes.slice(0, 2).map(([rows, keys]) => subgroup(rows, keys, 4)) : [])] : []),
    ...tiles.map(([x, y, rows, keys]): FusedTemplate => ({ kind: "tile", x, y, rows, keys })),
    { ...direct, keys: 4, staged: true },
    direct,
  ];
}

/** How many ways a shape's keys may be split. */
export function splitsOf({ keys, queries }: FlashShape): number[] {
  return queries > 64 ? [1] : [1, ...powers(2, Math.min(64, Math.floor(keys / 128)))];
}

/** Choices to time, the likely best first. */
export function candidates(gpu: Device, shape: FlashShape, pass: Pass): ForwardChoice[] {
  const packs = shape.kvHeads < shape.heads && shape.queries <= 64 && pass === "forward" ? [true, false] : [false];
  const first = pass === "forward" ? defaultForward(gpu, shape) : { ...defaultBackward(gpu, shape, pass), splits: 1, packed: false };
  const rest = packs.flatMap((packed) => allTemplates(gpu, pass).flatMap((template) => (pass === "forward" ? splitsOf(shape) : [1]).map((splits) => ({ template, splits, packed }))));
  return [first, ...rest.filter((choice) => choiceName(choice) !== choiceName(first))];
}

const known = new WeakMap<object, { version: number; readonly choices: Map<string, FlashChoice>; readonly seen: Map<string, FlashShape> }>();

function memory(gpu: Gpu): { readonly choices: Map<string, FlashChoice>; readonly seen: Map<string, FlashShape> } {
  const { version } = tunerOf(gpu);
  let mine = known.get(gpu);
  if (mine === undefined) known.set(gpu, (mine = { version, choices: new Map(), seen: new Map() }));
  if (mine.version !== version) {
    mine.choices.clear();
    mine.version = version;
  }
  return mine;
}

/** The shapes that this device has met so far, one a class. */
export const shapesSeen = (gpu: Gpu): FlashShape[] => [...memory(gpu).seen.values()];

/** A measured winner that this very shape can use, by name. */
function winner(gpu: Gpu, shape: FlashShape, pass: Pass): ForwardChoice | undefined {
  const row = tunerOf(gpu).lookup(`${FAMILY} ${pass}`, shapeClass(shape));
  // A stored winner of a larger shape in the class may still not fit this one, hence the check.
  return row && candidates(gpu, shape, pass).find((choice) => choiceName(choice) === row.winner && refusal(choice.template, shape, gpu.caps, pass) === undefined);
}

/** The measured winners, else the shipped table. Never measures. */
export function choose(gpu: Gpu, shape: FlashShape): FlashChoice {
  const { choices, seen } = memory(gpu);
  const { tile, ...whole } = shape;
  const key = `${shapeClass(shape)}${tile ? ` tile${tile.q}/${tile.k}` : ""}`;
  let choice = choices.get(key);
  if (choice === undefined) {
    choices.set(key, (choice = {
      forward: winner(gpu, shape, "forward") ?? defaultForward(gpu, shape),
      dq: winner(gpu, shape, "dq") ?? defaultBackward(gpu, shape, "dq"),
      dkv: winner(gpu, shape, "dkv") ?? defaultBackward(gpu, shape, "dkv"),
    }));
    if (!seen.has(shapeClass(shape))) seen.set(shapeClass(shape), whole);
  }
  return choice;
}

/** Why each pass of a shape is computed as it is. */
export function reasons(gpu: Gpu, shape: FlashShape): FlashReason[] {
  const choice = choose(gpu, shape);
  return (["forward", "dq", "dkv"] as const).map((pass) => {
    const name = shapeClass(shape);
    const mine = choiceName({ splits: 1, packed: false, ...choice[pass] });
    const row = tunerOf(gpu).lookup(`${FAMILY} ${pass}`, name);
    if (row?.winner !== mine) return { shape: name, pass, choice: mine, source: "default" as const, timings: row?.timings ?? [] };
    return { shape: name, pass, choice: mine, source: row.source, ms: row.timings[0]!.ms, timings: row.timings };
  });
}
