import { PolyheadError } from "@polyhead/core";
import type { Batch } from "../batches.ts";
import type { Ranks } from "./ranks.ts";

/** What one rank does of a batch. */
export interface Share extends Batch {
  readonly rows: number;
  /** Of the targets of the whole batch, the part that is here; 1 on a single rank. */
  readonly weight: number;
}

/** A batch that nobody shares. */
export const wholeOf = (batch: Batch, context: number): Share => ({ ...batch, rows: batch.inputs.length / context, weight: 1 });

export interface ShareOptions {
  readonly context: number;
  readonly ranks: Pick<Ranks, "dataRank" | "dataRanks">;
  /** Places of this rank's tokens in a window; left out where windows are whole. */
  readonly places?: Uint32Array | undefined;
  /** Whether every rank must get as many rows as any other. */
  readonly even: boolean;
}

/**
 * Rows ⌊R·d / D⌋ to ⌊R·(d + 1) / D⌋ of a batch of R, and of each the tokens at `places`, so that all ranks together do the batch once.
 *
 * @throws PolyheadError `TRAIN_RANKS` where rows do not divide and must.
 */
export function shareOf(batch: Batch, { context, ranks: { dataRank, dataRanks }, places, even }: ShareOptions): Share {
  const all = batch.inputs.length / context;
  if (even && all % dataRanks !== 0) {
    throw new PolyheadError("TRAIN_RANKS", `a batch of ${all} windows for ${dataRanks} ranks that share them`, `give batches whose windows divide by ${dataRanks}, or fewer ranks`);
  }
  const [first, end] = [dataRank, dataRank + 1].map((d) => Math.floor((all * d) / dataRanks)) as [number, number];
  const rows = end - first;
  const cut = (ids: Uint32Array): Uint32Array => {
    const mine = ids.subarray(first * context, end * context);
    return places === undefined ? mine : Uint32Array.from({ length: rows * places.length }, (_, i) => mine[Math.floor(i / places.length) * context + places[i % places.length]!]!);
  };
  return { inputs: cut(batch.inputs), targets: cut(batch.targets), rows, weight: (rows * (places?.length ?? context)) / batch.targets.length };
}
