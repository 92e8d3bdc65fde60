import type { Piece, Recipe, WeightMap } from "../family.ts";

/** What a pair of names of one module may hold besides its weight. */
interface Module {
  /** There is a bias too. */
  readonly bias?: boolean;
}

/** Puts a {@link WeightMap} together: first our name, then theirs, both without `.weight` and `.bias` where a method says so. */
export class MapBuilder {
  readonly #map = new Map<string, Recipe>();

  get map(): WeightMap {
    return this.#map;
  }

  /** A parameter of any pieces. */
  set(ours: string, ...pieces: readonly Piece[]): void {
    this.#map.set(ours, pieces);
  }

  /** A norm: `weight [width]`, and perhaps `bias`. */
  norm(ours: string, theirs: string, width: number, { bias = false }: Module = {}): void {
    this.set(`${ours}.weight`, { tensor: `${theirs}.weight`, shape: [width] });
    if (bias) this.set(`${ours}.bias`, { tensor: `${theirs}.bias`, shape: [width] });
  }

  /** Linear maps whose outputs lie one after the other in ours: `weight [out, in]`, and perhaps `bias [out]`. */
  linear(ours: string, theirs: readonly (readonly [name: string, outputs: number])[], inputs: number, { bias = false }: Module = {}): void {
    this.set(`${ours}.weight`, ...theirs.map(([name, outputs]) => ({ tensor: `${name}.weight`, shape: [outputs, inputs] })));
    if (bias) this.set(`${ours}.bias`, ...theirs.map(([name, outputs]) => ({ tensor: `${name}.bias`, shape: [outputs] })));
  }

  /** GPT-2's linear map, whose weight is stored `[in, out]`. */
  conv1d(ours: string, theirs: string, outputs: number, inputs: number): void {
    this.set(`${ours}.weight`, { tensor: `${theirs}.weight`, shape: [inputs, outputs], transpose: true });
    this.set(`${ours}.bias`, { tensor: `${theirs}.bias`, shape: [outputs] });
  }

  /** A fused linear map of queries, keys and values whose outputs go head by head, `[heads, 3, headDim]`; ours are all queries, all keys, all values. */
  headByHead(ours: string, theirs: string, heads: number, headDim: number, inputs: number, { bias = false }: Module = {}): void {
    const rows = Uint32Array.from({ length: 3 * heads * headDim }, (_, row) => {
      const [part, head, d] = [Math.floor(row / (heads * headDim)), Math.floor(row / headDim) % heads, row % headDim];
      return (head * 3 + part) * headDim + d;
    });
    this.set(`${ours}.weight`, { tensor: `${theirs}.weight`, shape: [rows.length, inputs], rows });
    if (bias) this.set(`${ours}.bias`, { tensor: `${theirs}.bias`, shape: [rows.length], rows });
  }
}
