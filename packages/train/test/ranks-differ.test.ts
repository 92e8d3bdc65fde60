import { PolyheadError, type Communicator, type ReducibleData } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { openCheckpoint, randomWindows, resume, saveCheckpoint, type BatchSource, type Trainer } from "../src/index.ts";
import { difference, numbers, outcomesOf, release, together, tokens, trainAlone, trainerOn, type Rank, type RankOptions } from "./several-ranks.ts";

/** What every rank's run ends with. */
async function ends(options: (rank: number) => RankOptions, until = 3, sabotage: (rank: Rank) => Partial<Rank> = () => ({})): Promise<{ errors: string[]; steps: number[] }> {
  const trainers: Trainer[] = [];
  const outcomes = await outcomesOf(2, async (rank) => {
    const { gpu, ...ranks } = { ...rank, ...sabotage(rank) };
    const trainer = trainerOn(gpu, options(ranks.world.rank), ranks);
    trainers.push(trainer);
    await numbers(trainer.run(until));
  }, { timeoutMs: 30_000 });
  return { errors: outcomes.map((outcome) => (outcome.status === "rejected" ? (outcome.reason as Error).message : "")), steps: trainers.map(({ step }) => step) };
}

const source = (seed: number): BatchSource => randomWindows(tokens, { batch: 4, context: 8, seed });

describe("ranks that are not of one mind", () => {
  it("all say so before they start: options, data of an evaluation, models", async () => {
    for (const [of, what] of [
      [(rank) => ({ reportEvery: rank + 1 }), "reportEvery"],
      [(rank) => ({ accumulate: rank + 1 }), "accumulate"],
      [(rank) => ({ validation: source(rank).batch(0) }), "the validation batch"],
      [(rank) => ({ parallel: { bucketBytes: 1000 + rank } }), "bucketBytes"],
      [(rank) => ({ experts: rank === 1 }), "the list of parameters"],
    ] as [(rank: number) => RankOptions, string][]) {
      const { errors, steps } = await ends(of);
      for (const error of errors) expect(error).toMatch(new RegExp(`TRAIN_RANKS_DIFFER.*before training, ${what} differs between ranks`, "s"));
      expect(steps).toEqual([0, 0]);
    }
  });

  it("all say so before the update for which their data differ, and none does it", async () => {
    const other = (rank: number): BatchSource => ({ batch: (index) => source(rank === 1 && index === 2 ? 9 : 3).batch(index) });
    const { errors, steps } = await ends((rank) => ({ data: other(rank) }), 5);
    for (const error of errors) expect(error).toMatch(/TRAIN_RANKS_DIFFER.*before update 3, the batch differs/s);
    expect(steps).toEqual([2, 2]);
  });

  it("all say so before the update for which their rates differ", async () => {
    const { errors } = await ends((rank) => ({ schedule: (step) => (step === 1 ? 1e-2 + rank : 1e-2) }));
    for (const error of errors) expect(error).toMatch(/TRAIN_RANKS_DIFFER.*before update 2, the learning rate differs/s);
  });

  it("find weights that came apart, here since one rank left out the sum of a bucket, and name a parameter", async () => {
    let calls = 0;
    const leavesOut = ({ gradients, world }: Rank): Partial<Rank> => (world.rank === 0 ? {} : {
      gradients: Object.assign(Object.create(gradients) as Communicator, {
        allReduce: (data: ReducibleData) => gradients.allReduce(++calls === 2 ? data.slice() : data),
      }),
    });
    const { errors } = await ends(() => ({ parallel: { checkEvery: 1 } }), 60, leavesOut);
    expect(calls).toBeGreaterThan(2);
    for (const error of errors) expect(error).toMatch(/TRAIN_RANKS_DIFFER.*after update \d+, the parameter '[\w.]+' differs/s);
  });

  it("end together where one has no batch: with its own error there, with its number elsewhere", async () => {
    const { errors, steps } = await ends((rank) => ({
      data: { batch: (index) => {
        if (rank === 1 && index === 1) throw new PolyheadError("TEXT_FILE", "the file is gone", "bring it back");
        return source(3).batch(index);
      } },
    }));
    expect(errors).toEqual([expect.stringMatching(/TRAIN_RANK_FAILED.*rank 1 has no batch for update 2/s), expect.stringMatching(/TEXT_FILE/)]);
    expect(steps).toEqual([1, 1]);
  });

  it("are refused a batch whose windows do not divide", async () => {
    const { errors } = await ends(() => ({ data: randomWindows(tokens, { batch: 3, context: 8, seed: 3 }) }));
    for (const error of errors) expect(error).toMatch(/TRAIN_RANKS\].*3 windows for 2 ranks.*divide by 2/s);
  });
});

describe("a rank that is lost", () => {
  it("in the middle of an update ends the run of the others with an error; nothing can be saved then, and the last checkpoint resumes", async () => {
    const whole = await trainAlone(4);
    let saved: Uint8Array | undefined;
    const outcomes = await outcomesOf(2, async ({ gpu, ...ranks }) => {
      const { gradients, world } = ranks;
      let updates = 0;
      const dying = Object.assign(Object.create(gradients) as Communicator, {
        allReduce: (data: ReducibleData) => {
          if (updates === 2) world.abort("the power went off");
          return gradients.allReduce(data);
        },
      });
      const trainer = trainerOn(gpu, { evaluateEvery: 100 }, world.rank === 1 ? { ...ranks, gradients: dying } : ranks);
      try {
        for await (const { step } of trainer.run(4)) {
          updates = step;
          if (step === 2 && world.rank === 0) saved = await saveCheckpoint(trainer);
        }
      } finally {
        await expect(saveCheckpoint(trainer)).rejects.toThrow(/TRAIN_STOPPED.*COMM_ABORTED.*resume from the last checkpoint/s);
        await expect(trainer.run(9).next()).rejects.toThrow(/TRAIN_STOPPED/);
        release(trainer);
      }
    });
    expect(outcomes.map((outcome) => outcome.status === "rejected" && (outcome.reason as Error).message)).toEqual([
      expect.stringMatching(/COMM_ABORTED.*rank 1 ended the job: the power went off/s), expect.stringMatching(/COMM_ABORTED/),
    ]);
    const resumed = await together(2, async ({ gpu, ...ranks }) => {
      const trainer = trainerOn(gpu, {}, ranks);
      if (ranks.world.rank === 0) resume(trainer, openCheckpoint(saved!));
      const said = await numbers(trainer.run(4));
      release(trainer);
      return said;
    });
    expect(difference(resumed[1]!, whole.said.slice(8))).toBeLessThan(1e-5);
  });

  it("or stalls is named after the time limit", async () => {
    const outcomes = await outcomesOf(2, async ({ gpu, ...ranks }) => {
      const trainer = trainerOn(gpu, { evaluateEvery: 100 }, ranks);
      await numbers(trainer.run(1));
      if (ranks.world.rank === 0) await numbers(trainer.run(2));
      return new Promise((resolve) => { setTimeout(resolve, 1500); });
    }, { timeoutMs: 1000 });
    expect(outcomes[0]).toMatchObject({ status: "rejected", reason: { code: "COMM_TIMEOUT", message: expect.stringMatching(/rank 0 waited 1000 ms for: .*rank 1/s) as string } });
  });
});
