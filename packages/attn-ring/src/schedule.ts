import { intervalEvaluator, toProgram, truthOf, type Mask } from "@polyhead/core";
import { Coordinates } from "./coordinates.ts";
import { lengthOf, piecesOf, type Piece, type RingLayout } from "./layout.ts";

export interface ScheduleProblem {
  readonly layout: RingLayout;
  readonly ranks: number;
  readonly mask: Mask;
  readonly batch: number;
  readonly heads: number;
  /** Of the whole sequences. */
  readonly queries: number;
  readonly keys: number;
  /** Global position of the first query and the first key. */
  readonly qOffset: number;
  readonly kvOffset: number;
}

/** Runs of queries and keys that may see each other, by their number in the rank's and the block's pieces. */
export interface Pair {
  readonly q: number;
  readonly k: number;
}

/**
 * Who computes what with whose keys. Block b is the keys of rank b; s hops around the ring bring it to rank b + s. It goes
 * no further than the last rank that needs it. In backward the sum of its gradients begins at the first other rank that
 * needs it, follows it, and goes home from the last.
 *
 * Every rank makes the same schedule of the same problem, so that each knows what the others send.
 */
export class RingSchedule {
  readonly ranks: number;
  /** Remembers what was rewritten of masks and hooks. */
  readonly coordinates: Coordinates;
  readonly #problem: ScheduleProblem;
  readonly #queries: readonly (readonly Piece[])[];
  readonly #keys: readonly (readonly Piece[])[];
  readonly #pairs = new Map<number, readonly Pair[]>();
  readonly #travels = new Map<number, Travel>();

  constructor(problem: ScheduleProblem, coordinates: Coordinates = coordinatesOf(problem)) {
    const { layout, ranks, queries, keys, qOffset, kvOffset } = problem;
    const at = (length: number, offset: number): Piece[][] => Array.from({ length: ranks }, (_, rank) => piecesOf(layout, rank, ranks, length).map((piece) => ({ ...piece, start: piece.start + offset })));
    this.ranks = ranks;
    this.#problem = problem;
    this.coordinates = coordinates;
    this.#queries = at(queries, qOffset);
    this.#keys = at(keys, kvOffset);
  }

  /** Runs of queries of a rank, at their global places. */
  queriesOf(rank: number): readonly Piece[] {
    return this.#queries[rank]!;
  }

  /** Runs of keys of a block, at their global places. */
  keysOf(block: number): readonly Piece[] {
    return this.#keys[block]!;
  }

  /** Rows of a block. */
  rowsOf(block: number): number {
    return lengthOf(this.keysOf(block));
  }

  /** The block that is at `rank` after `step` hops. */
  blockAt(step: number, rank: number): number {
    return (rank - step + this.ranks) % this.ranks;
  }

  /** What a rank computes with a block; a pair is left out only where the mask allows nothing. */
  pairs(rank: number, block: number): readonly Pair[] {
    const key = rank * this.ranks + block;
    let found = this.#pairs.get(key);
    if (found === undefined) {
      const [queries, keys] = [this.queriesOf(rank), this.keysOf(block)];
      found = queries.flatMap((q, qi) => keys.flatMap((k, ki) => (this.#mayMeet(q, k) ? [{ q: qi, k: ki }] : [])));
      this.#pairs.set(key, found);
    }
    return found;
  }

  travel(block: number): Travel {
    let found = this.#travels.get(block);
    if (found === undefined) {
      const needed = Array.from({ length: this.ranks - 1 }, (_, i) => i + 1).filter((step) => this.pairs((block + step) % this.ranks, block).length > 0);
      this.#travels.set(block, (found = { first: needed[0] ?? 0, last: needed.at(-1) ?? 0 }));
    }
    return found;
  }

  /** Hops that any block makes. */
  get steps(): number {
    return Math.max(0, ...this.#keys.map((_, block) => this.travel(block).last));
  }

  #mayMeet(q: Piece, k: Piece): boolean {
    const { mask, batch, heads } = this.#problem;
    const { mask: local, qOffset, kvOffset } = this.coordinates.meet(mask, [], q, k);
    const [truth] = intervalEvaluator(toProgram(local))({ b: [0, batch - 1], h: [0, heads - 1], q: [qOffset, qOffset + q.length - 1], kv: [kvOffset, kvOffset + k.length - 1] });
    return truth === undefined || truthOf(truth) !== false;
  }
}

const coordinatesOf = ({ layout, ranks }: Pick<ScheduleProblem, "layout" | "ranks">): Coordinates => new Coordinates(layout === "striped" ? ranks : 1);

/** The schedules of one ring: the last of each mask is kept, since every layer and step asks for the same. */
export class Schedules {
  readonly #ring: Pick<ScheduleProblem, "layout" | "ranks">;
  readonly #coordinates: Coordinates;
  readonly #known = new WeakMap<Mask, { readonly key: string; readonly schedule: RingSchedule }>();

  constructor(ring: Pick<ScheduleProblem, "layout" | "ranks">) {
    this.#ring = ring;
    this.#coordinates = coordinatesOf(ring);
  }

  of(problem: Omit<ScheduleProblem, "layout" | "ranks">): RingSchedule {
    const { mask, batch, heads, queries, keys, qOffset, kvOffset } = problem;
    // What a mask reads may be set anew.
    const key = [batch, heads, queries, keys, qOffset, kvOffset, ...toProgram(mask).captures.map(({ version }) => version)].join();
    const known = this.#known.get(mask);
    if (known?.key === key) return known.schedule;
    const schedule = new RingSchedule({ ...this.#ring, ...problem }, this.#coordinates);
    this.#known.set(mask, { key, schedule });
    return schedule;
  }
}

/** Hops after which a block is first and last needed by a rank other than its own; 0 where by none. */
export interface Travel {
  readonly first: number;
  readonly last: number;
}
