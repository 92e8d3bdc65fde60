import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { encoderDecoder } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { describe, expect, it } from "vitest";
import { constantRate, randomWindows, Trainer } from "../src/index.ts";
import { difference, runOf, together, tokens, trainAlone, trainerOn, type Ended, type RankOptions } from "./several-ranks.ts";

/** The places of a group's ranks: pieces of different lengths, in disorder. */
const PIECES: readonly (readonly number[])[] = [[6, 0, 3], [1, 7, 2, 5, 4]];
/** Tokens see themselves alone, so that no kernel need span the ranks; they know their places by a learned table. */
const options: RankOptions = { alone: true, evaluateEvery: 2 };

const split = (size: number, until: number): Promise<Ended[]> =>
  together(size, ({ gpu, ...ranks }) => runOf(trainerOn(gpu, { ...options, parallel: { positions: () => Uint32Array.from(PIECES[ranks.sequence.rank]!) } }, ranks), until), { sequenceRanks: 2 });

describe("ranks that share each window", () => {
  for (const [size, also] of [[2, ""], [4, ", and the batch too,"]] as const) {
    it(`do${also} the updates and evaluations of one, whatever pieces they hold`, async () => {
      const one = await trainAlone(3, options);
      const all = await split(size, 3);
      for (const rank of all.slice(1)) expect(rank).toEqual(all[0]);
      expect(difference(all[0]!.said, one.said)).toBeLessThan(1e-5);
      for (const [name, values] of one.state) {
        if (!name.startsWith("adamw.")) expect(difference(all[0]!.state.get(name)!, values), name).toBeLessThan(1e-3);
      }
      expect([...one.state.keys()].filter((name) => name.includes("position"))).toContain("position.learned.table");
    });
  }

  it("are refused positions that are missing, outside, twice on one rank, or twice or never in a group", async () => {
    const positions = (of: (rank: number) => readonly number[] | undefined) => () => together(2, ({ gpu, ...ranks }) => {
      const places = of(ranks.sequence.rank);
      return trainerOn(gpu, { ...options, ...(places && { parallel: { positions: () => Uint32Array.from(places) } }) }, ranks).run(1).next();
    }, { sequenceRanks: 2 });
    await expect(positions(() => undefined)).rejects.toThrow(/TRAIN_POSITIONS.*2 ranks share each window, and nothing says which tokens/s);
    await expect(positions(() => [])).rejects.toThrow(/TRAIN_POSITIONS.*no token/s);
    await expect(positions(() => [1, 8])).rejects.toThrow(/TRAIN_POSITIONS.*place 8 is outside of a window of 8/s);
    await expect(positions(() => [1, 1])).rejects.toThrow(/TRAIN_POSITIONS.*place 1 is there twice/s);
    await expect(positions((rank) => (rank === 0 ? [0, 1, 2, 3] : [3, 4, 5, 6, 7]))).rejects.toThrow(/TRAIN_POSITIONS.*place 3 of a window is held 2 times by 1 group/s);
    await expect(positions((rank) => (rank === 0 ? [0, 1, 2] : [4, 5, 6, 7]))).rejects.toThrow(/TRAIN_POSITIONS.*place 3 of a window is held 0 times/s);
  });

  it("cannot be those of a model that reads one text and writes another", async () => {
    const lab = createLab(mha, rope, rms, tied, reference, encoderDecoder);
    await expect(together(2, async ({ gpu, ...ranks }) => {
      const model = lab.model({ layers: 1, width: 8, vocab: 13, context: 8, start: 0, attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" } }, createEngine(gpu));
      return new Trainer({ model, data: randomWindows(tokens, { batch: 1, context: 8, seed: 1 }), schedule: constantRate(1e-3), parallel: { ranks, positions: () => Uint32Array.of(0) } }).run(1).next();
    }, { sequenceRanks: 2 })).rejects.toThrow(/TRAIN_RANKS.*encoder-decoder/s);
  });

  it("need a kernel that spans them", async () => {
    await expect(together(2, ({ gpu, ...ranks }) => Promise.resolve(trainerOn(gpu, { ...options, kernel: "reference" }, ranks)), { sequenceRanks: 2 }))
      .rejects.toThrow(/TRAIN_RANKS.*2 ranks share each window, and kernel 'reference' of self-attention attends over 1/s);
  });

  it("come in groups that use up the world", async () => {
    await expect(together(3, () => Promise.resolve(), { sequenceRanks: 2 })).rejects.toThrow(/TRAIN_RANKS.*3 ranks in groups of 2.*divisors of 3/s);
    expect(await together(4, ({ sequence, dataRank, dataRanks }) => Promise.resolve([sequence.rank, sequence.size, dataRank, dataRanks]), { sequenceRanks: 2 }))
      .toEqual([[0, 2, 0, 2], [1, 2, 0, 2], [0, 2, 1, 2], [1, 2, 1, 2]]);
  });
});
