import { PolyheadError, type Communicator } from "@polyhead/core";

/** How the ranks of a world share the work of training: `dataRanks` groups take windows of their own, and within a group neighbours share each window. */
export interface Ranks {
  readonly world: Communicator;
  /** Those who hold the pieces of the same windows; of size 1 where windows are whole. It is what the kernel of ring attention takes. */
  readonly sequence: Communicator;
  /** How many groups there are. */
  readonly dataRanks: number;
  /** Which of them this rank belongs to. */
  readonly dataRank: number;
  /** Sums of gradients. Nobody else's calls come between. */
  readonly gradients: Communicator;
  /** What ranks agree on beside the updates. */
  readonly control: Communicator;
  /** Closes what was split from the world, but not the world. Every rank calls it. */
  close(): Promise<void>;
}

export interface ArrangeOptions {
  /** Ranks that share a window: each group of so many neighbours. Default 1: windows are whole, and ranks differ in which they take. */
  readonly sequenceRanks?: number;
}

/**
 * Arranges the ranks of `world` for training; every rank calls it. Ranks 0 to `sequenceRanks − 1` are the first group, and so on, so that
 * a window stays on one machine where neighbours do.
 *
 * @throws PolyheadError `TRAIN_RANKS` when groups of that size do not use up the world, and what `Communicator.split` throws.
 */
export async function arrangeRanks(world: Communicator, { sequenceRanks = 1 }: ArrangeOptions = {}): Promise<Ranks> {
  const { rank, size } = world;
  if (!Number.isInteger(sequenceRanks) || sequenceRanks < 1 || size % sequenceRanks !== 0) {
    throw new PolyheadError("TRAIN_RANKS", `${size} ranks in groups of ${sequenceRanks}`, `choose sequenceRanks among the divisors of ${size}`);
  }
  const dataRank = Math.floor(rank / sequenceRanks);
  const sequence = await world.split(dataRank);
  const gradients = await world.split(0);
  const control = await world.split(0);
  return {
    world, sequence, gradients, control, dataRank,
    dataRanks: size / sequenceRanks,
    async close() {
      for (const one of [sequence, gradients, control]) await one.close();
    },
  };
}
