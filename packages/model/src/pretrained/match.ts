import { PolyheadError } from "@polyhead/core";
import type { StoredDtype } from "@polyhead/core/safetensors";
import type { Family, HfConfig, WeightMap } from "./family.ts";
import type { TensorStore } from "./tensor-store.ts";

/** Which tensor of a checkpoint serves each name that a family's map asks for. */
export interface Matching {
  /** Names in the checkpoint, by the family's names; names without a tensor are not in it. */
  readonly found: ReadonlyMap<string, string>;
  /** The family's names that the checkpoint lacks. */
  readonly missing: readonly string[];
  /** Tensors of the checkpoint that nobody asked for. */
  readonly unused: readonly string[];
  /** Pairs in the checkpoint that must hold the same numbers: a copy, and what it is a copy of. */
  readonly copies: readonly (readonly [copy: string, original: string])[];
}

/** What a weight may be stored as. */
const READABLE: readonly StoredDtype[] = ["F32", "F16", "BF16", "F64"];

/** The spellings of a family's name: as it is, and with each prefix put on or left out. */
const spellings = (name: string, prefixes: readonly string[]): string[] => [name, ...prefixes.map((prefix) => (name.startsWith(prefix) ? name.slice(prefix.length) : prefix + name))];

/** A list as it stands in an error: the first of many, and how many there are. */
export const some = (names: readonly string[]): string => `${names.slice(0, 12).map((name) => `'${name}'`).join(", ")}${names.length > 12 ? `, … (${names.length} in all)` : ""}`;

/** @throws PolyheadError `PRETRAINED_SHAPE`, `PRETRAINED_DTYPE` */
function checkEntries(store: TensorStore, weights: WeightMap, found: ReadonlyMap<string, string>): void {
  const shapes: string[] = [];
  const dtypes: string[] = [];
  const seen = new Set<string>();
  for (const { tensor, shape } of [...weights.values()].flat()) {
    const name = found.get(tensor);
    if (name === undefined || seen.has(name)) continue;
    seen.add(name);
    const entry = store.entry(name);
    if (entry.shape.join() !== shape.join()) shapes.push(`'${name}' is [${entry.shape.join(", ")}] in the file and [${shape.join(", ")}] by the config`);
    if (!READABLE.includes(entry.dtype)) dtypes.push(`'${name}' is ${entry.dtype}`);
  }
  const list = (all: readonly string[]): string => `${all.slice(0, 8).join("; ")}${all.length > 8 ? `; … (${all.length} in all)` : ""}`;
  if (shapes.length > 0) throw new PolyheadError("PRETRAINED_SHAPE", `${store.label} does not fit its config: ${list(shapes)}`, "use the config.json that came with these weights");
  if (dtypes.length > 0) throw new PolyheadError("PRETRAINED_DTYPE", `weights of ${store.label} have types that are not read: ${list(dtypes)}; read are ${READABLE.join(", ")}`, "save the model again in one of these; quantised weights must be dequantised first");
}

/**
 * Finds the tensors of a family's map in a checkpoint and compares what headers say with what the config asks for. Reads no weights.
 *
 * @throws PolyheadError `PRETRAINED_SHAPE`, `PRETRAINED_DTYPE`
 */
export function matchTensors(store: TensorStore, family: Family, weights: WeightMap, config: HfConfig): Matching {
  const { prefixes, ignored = [] } = family;
  const locate = (name: string): string | undefined => spellings(name, prefixes).find((spelling) => store.has(spelling));
  const found = new Map<string, string>();
  const missing: string[] = [];
  const tied = Object.entries(family.tied?.(config) ?? {});
  for (const name of new Set([...weights.values()].flat().map(({ tensor }) => tensor))) {
    // Of tied tensors a file may keep any one.
    const here = locate(name) ?? tied.filter(([, original]) => original === name).map(([copy]) => locate(copy)).find((copy) => copy !== undefined);
    if (here === undefined) missing.push(name);
    else found.set(name, here);
  }
  const used = new Set(found.values());
  const copies: [string, string][] = [];
  for (const [copy, original] of tied) {
    const [a, b] = [locate(copy), found.get(original)];
    if (a === undefined || b === undefined || used.has(a)) continue;
    copies.push([a, b]);
  }
  const spare = new Set(copies.map(([copy]) => copy));
  const unused = store.names.filter((name) => !used.has(name) && !spare.has(name) && !ignored.some((pattern) => pattern.test(name)));
  checkEntries(store, weights, found);
  return { found, missing, unused, copies };
}

/** @throws PolyheadError `PRETRAINED_TENSORS` listing everything that is missing and everything that nobody asked for, unless allowed. */
export function checkMatching({ missing, unused }: Matching, label: string, allow: { readonly allowMissing?: boolean; readonly allowUnused?: boolean }): void {
  const wrong = [
    ...(missing.length > 0 && allow.allowMissing !== true ? [`lacks ${some(missing)}`] : []),
    ...(unused.length > 0 && allow.allowUnused !== true ? [`holds ${some(unused)}, which this model does not use`] : []),
  ];
  if (wrong.length === 0) return;
  throw new PolyheadError("PRETRAINED_TENSORS", `${label} ${wrong.join(", and ")}`, "check that weights and config belong together; allowMissing and allowUnused take them as they are");
}

/** @throws PolyheadError `PRETRAINED_TIED` naming a copy that differs from its original. */
export async function checkCopies(store: TensorStore, { copies }: Matching): Promise<void> {
  for (const [copy, original] of copies) {
    const [a, b] = [await store.read(copy), await store.read(original)];
    const fail = (what: string): PolyheadError => new PolyheadError("PRETRAINED_TIED", `'${copy}' of ${store.label} should be a copy of '${original}', but ${what}`, "set tie_word_embeddings to false in config.json if the model was trained untied");
    if (a.shape.join() !== b.shape.join()) throw fail(`their shapes are [${a.shape.join(", ")}] and [${b.shape.join(", ")}]`);
    const [x, y] = [a.floats(), b.floats()];
    const at = x.findIndex((value, i) => !Object.is(value, y[i]));
    if (at >= 0) throw fail(`their values number ${at} are ${x[at]!} and ${y[at]!}`);
  }
}
