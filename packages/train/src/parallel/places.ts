import { PolyheadError } from "@polyhead/core";

/**
 * The places of one rank, checked as far as it can tell by itself.
 *
 * @throws PolyheadError `TRAIN_POSITIONS` when there are none, or one is outside of the window or there twice.
 */
export function checkPlaces(places: Uint32Array | undefined, context: number, ranks: number): Uint32Array {
  const refuse = (what: string): never => {
    throw new PolyheadError("TRAIN_POSITIONS", what, "give parallel.positions: the places of this rank's tokens in a window, by the layout of the attention kernel");
  };
  if (places === undefined) return refuse(`${ranks} ranks share each window, and nothing says which tokens this one holds`);
  if (places.length === 0) return refuse(`this rank holds no token of a window of ${context}`);
  const seen = new Set<number>();
  for (const place of places) {
    if (place >= context) return refuse(`place ${place} is outside of a window of ${context} tokens`);
    if (seen.has(place)) return refuse(`place ${place} is there twice`);
    seen.add(place);
  }
  return places;
}
