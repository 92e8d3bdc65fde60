import { PolyheadError } from "@polyhead/core";
import type { Parameter } from "../parameters.ts";
import type { Recipe, WeightMap } from "./family.ts";
import { some } from "./match.ts";
import { assemble } from "./piece.ts";
import type { TensorStore } from "./tensor-store.ts";

/** Bytes that are on their way to the device before we wait for it: what is on its way lies in the host's memory too. */
const IN_FLIGHT = 256 << 20;
/** From here on a number rounds to infinity in f16. */
const BEYOND_HALF = 65_520;

/** A tensor of the checkpoint with values that no weight may have. */
export interface NonFinite {
  readonly tensor: string;
  /** NaN, infinities, and with weights in f16 numbers beyond its range. */
  readonly count: number;
}

export interface FillOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

function countNonFinite(values: Float32Array, most: number): number {
  let count = 0;
  // One comparison finds all three: NaN is smaller than nothing.
  for (const value of values) if (!(Math.abs(value) < most)) count++;
  return count;
}

const misfit = (what: string): PolyheadError => new PolyheadError("PRETRAINED_FAMILY", `the family's weight map ${what}`, "mend the family: its map must name every learned parameter of the models that its spec makes");

/**
 * Writes a checkpoint into parameters, one at a time, so that the host holds no more than the tensors of one.
 *
 * @param found   names in the checkpoint, by the map's
 * @param kept    our names that keep what they hold, since the checkpoint lacks parts of them
 * @throws PolyheadError `PRETRAINED_FAMILY` where map and model differ, and what the store throws.
 */
export async function fill(
  parameters: readonly Parameter[],
  weights: WeightMap,
  { store, found, kept }: { readonly store: TensorStore; readonly found: ReadonlyMap<string, string>; readonly kept: ReadonlySet<string> },
  { onProgress, signal }: FillOptions,
): Promise<readonly NonFinite[]> {
  const known = new Set(parameters.map(({ name }) => name));
  const strange = [...weights.keys()].filter((name) => !known.has(name));
  if (strange.length > 0) throw misfit(`names ${some(strange)}, which the model does not have`);
  const counts = new Map<string, number>();
  let inFlight = 0;

  const read = async (recipe: Recipe, half: boolean): Promise<Map<string, Float32Array>> => {
    const tensors = new Map<string, Float32Array>();
    for (const name of new Set(recipe.map(({ tensor }) => tensor))) {
      const file = found.get(name)!;
      const values = (await store.read(file)).floats();
      const count = countNonFinite(values, half ? BEYOND_HALF : Infinity);
      if (count > 0) counts.set(file, count);
      tensors.set(name, values);
    }
    return tensors;
  };

  for (const [i, { name, spec, tensor }] of parameters.entries()) {
    signal?.throwIfAborted();
    const recipe = weights.get(name);
    // What is not learned was filled when the model was built.
    if (recipe === undefined && spec.trainable !== false) throw misfit(`has no recipe for the parameter '${name}'`);
    if (recipe !== undefined && !kept.has(name)) {
      const tensors = await read(recipe, tensor.dtype === "f16");
      const values = assemble(recipe, (source) => tensors.get(source)!);
      if (values.length !== tensor.size) throw misfit(`makes ${values.length} values for the parameter '${name}' of shape [${tensor.shape.join(", ")}]`);
      tensor.engine.upload(tensor, values);
      inFlight += values.byteLength;
      if (inFlight > IN_FLIGHT) {
        await tensor.engine.gpu.settled();
        inFlight = 0;
      }
    }
    onProgress?.(i + 1, parameters.length);
  }
  await parameters[0]?.tensor.engine.gpu.settled();
  return [...counts].map(([tensor, count]) => ({ tensor, count }));
}
