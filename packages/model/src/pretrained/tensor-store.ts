import { PolyheadError } from "@polyhead/core";
import { openSafetensors, type RangedSafetensors } from "@polyhead/core/safetensors";
import { readJson, TABLE_BYTES } from "./json.ts";
import { fileOf, type FileSource } from "./source.ts";

/** The tensors of a checkpoint, whatever files they lie in; their bytes are fetched when asked for. */
export type TensorStore = Pick<RangedSafetensors, "label" | "names" | "has" | "entry" | "read">;

export const WEIGHTS = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

/** A shard lies beside its index: anything that could lead elsewhere is no name of a shard. */
const SHARD = /^[\w-][\w.-]*\.safetensors$/;

const wrongIndex = (label: string, what: string): PolyheadError => new PolyheadError("PRETRAINED_INDEX", `${INDEX} of ${label} ${what}`, "download the model again: its index and its shards do not belong together");

/**
 * Opens the weights of a folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names. Headers are read and
 * checked, nothing else.
 *
 * @throws PolyheadError `PRETRAINED_FILES` where there are none, `PRETRAINED_INDEX` for an index that does not fit its shards,
 * `SAFETENSORS_*`, `SOURCE_*`.
 */
export async function openWeights(source: FileSource): Promise<TensorStore> {
  if (await source.has(WEIGHTS)) return openSafetensors(await fileOf(source, WEIGHTS));
  if (await source.has(INDEX)) return openShards(source);
  const pickled = await source.has("pytorch_model.bin");
  throw new PolyheadError(
    "PRETRAINED_FILES",
    `${source.label} has neither ${WEIGHTS} nor ${INDEX}${pickled ? ", only pickled weights, which can run code and are not read" : ""}`,
    pickled ? "convert it: load it in Python and call save_pretrained(dir, safe_serialization=True)" : "give a folder in the layout of Hugging Face's save_pretrained",
  );
}

function weightMap(source: FileSource, index: Readonly<Record<string, unknown>>): [tensor: string, shard: string][] {
  const { weight_map: map } = index;
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw wrongIndex(source.label, "has no object 'weight_map'");
  return Object.entries(map).map(([tensor, shard]: [string, unknown]) => {
    if (typeof shard !== "string" || !SHARD.test(shard)) throw wrongIndex(source.label, `puts '${tensor}' into ${JSON.stringify(shard).slice(0, 120)}, which is no name of a .safetensors file beside it`);
    return [tensor, shard];
  });
}

async function openShards(source: FileSource): Promise<TensorStore> {
  const { label } = source;
  const map = weightMap(source, await readJson(source, INDEX, TABLE_BYTES));
  const homes = new Map<string, RangedSafetensors>();
  const indexed = new Map(map);
  for (const shard of new Set(indexed.values())) {
    if (!(await source.has(shard))) throw wrongIndex(label, `names the shard '${shard}', which is not there`);
    const opened = await openSafetensors(await fileOf(source, shard));
    for (const name of opened.names) {
      if (homes.has(name)) throw wrongIndex(label, `has shards that both hold '${name}': ${homes.get(name)!.label} and ${opened.label}`);
      if (indexed.get(name) !== shard) throw wrongIndex(label, `${indexed.has(name) ? `puts '${name}' into '${indexed.get(name)!}'` : `does not name '${name}'`}, but '${shard}' holds it`);
      homes.set(name, opened);
    }
  }
  const absent = map.find(([tensor]) => !homes.has(tensor));
  if (absent !== undefined) throw wrongIndex(label, `puts '${absent[0]}' into '${absent[1]}', which does not hold it`);
  const home = (name: string): RangedSafetensors => {
    const found = homes.get(name);
    if (found === undefined) throw new PolyheadError("SAFETENSORS_MISSING", `${label} has no tensor '${name}' in any of its shards`, "ask for a name listed in .names");
    return found;
  };
  return { label, names: [...homes.keys()], has: (name) => homes.has(name), entry: (name) => home(name).entry(name), read: async (name) => home(name).read(name) };
}
