import { describe, expect, it } from "vitest";
import { openCheckpoint, randomWindows, resume, saveCheckpoint, windowsAt, type BatchSource, type Checkpoint } from "../src/index.ts";
import { difference, numbers, release, runOf, together, tokens, train, trainAlone, trainerOn, type Ended, type RankOptions } from "./several-ranks.ts";

/** The first moments after one update are its gradients, a tenth of them. */
const gradients = ({ state }: Ended): [string, Float32Array][] => [...state].filter(([name]) => name.startsWith("adamw.first."));
const weights = ({ state }: Ended): [string, Float32Array][] => [...state].filter(([name]) => !name.startsWith("adamw."));

/** All ranks say and hold the same, to the bit; and, but for rounding, what one rank does. */
function expectAll(all: readonly Ended[], one: Ended): void {
  for (const rank of all.slice(1)) expect(rank).toEqual(all[0]);
  const [first] = all;
  expect(difference(first!.said, one.said)).toBeLessThan(1e-5);
  for (const [name, values] of weights(one)) expect(difference(first!.state.get(name)!, values), name).toBeLessThan(1e-3);
}

describe("several ranks that share each batch", () => {
  for (const size of [2, 4]) {
    it(`do the update of one: ${size} ranks have its loss, gradients, norm and weights`, async () => {
      const one = await trainAlone(1);
      const all = await train(size, 1);
      expectAll(all, one);
      for (const [name, values] of gradients(one)) expect(difference(all[0]!.state.get(name)!, values), name).toBeLessThan(1e-5);
    });
  }

  it("go on as one does, with micro-batches, reports of several updates, and evaluations whose rows do not divide", async () => {
    const options: RankOptions = { accumulate: 2, reportEvery: 3, evaluateEvery: 2 };
    const one = await trainAlone(5, options);
    expect(one.said).toHaveLength(5 * 4 + 3 * 2);
    expectAll(await train(2, 5, options), one);
    expectAll(await train(4, 5, options), one);
  });

  it("go on from the checkpoint of another number of ranks, which rank 0 alone reads: 1, then 2, then 4", async () => {
    const whole = await trainAlone(6);
    const said: number[] = [];
    let last: Checkpoint | undefined;
    for (const [size, until] of [[1, 2], [2, 4], [4, 6]] as const) {
      const parts = await together(size, async ({ gpu, ...ranks }) => {
        const trainer = trainerOn(gpu, { seed: 3 }, ranks);
        if (ranks.world.rank === 0 && last !== undefined) resume(trainer, last);
        const heard = (await numbers(trainer.run(until))).slice(0, 8); // without the evaluation at the end
        const saved = ranks.world.rank === 0 ? openCheckpoint(await saveCheckpoint(trainer)) : undefined;
        release(trainer);
        return { heard, saved };
      });
      said.push(...parts[0]!.heard);
      last = parts[0]!.saved!;
      expect(last.info.step).toBe(until);
      expect(Object.keys(last.file.metadata).sort()).toEqual(["extra", "format", "random", "seed", "spec", "step"]);
    }
    expect(difference(said, whole.said.slice(0, -2))).toBeLessThan(1e-5);
  });

  it("start from the weights of rank 0, whatever the others were made with", async () => {
    const all = await together(2, async ({ gpu, ...ranks }) => runOf(trainerOn(gpu, { seed: 3 + ranks.world.rank }, ranks), 1));
    expect(all[1]!.said).toEqual(all[0]!.said);
    expect(weights(all[1]!)).toEqual(weights(all[0]!));
    expect(difference(all[0]!.said, (await trainAlone(1)).said)).toBeLessThan(1e-5);
  });

  it("balance their experts by the tokens of all", async () => {
    const options: RankOptions = { experts: true, expertSpeed: 0.01 };
    const one = await trainAlone(3, options);
    const all = await train(2, 3, options);
    expectAll(all, one);
    const corrections = [...one.state].filter(([name]) => name.endsWith("router.correction"));
    expect(corrections.some(([, values]) => values.some((x) => x !== 0))).toBe(true);
    for (const [name, values] of corrections) expect(all[0]!.state.get(name)).toEqual(values);
  });

  it("drop others each, and the same ones in every run", async () => {
    // The same window on both ranks: with the same numbers dropped, their mean would be the loss of one such window.
    const data = (rows: number): BatchSource => ({ batch: (index) => windowsAt(tokens, new Array<number>(rows).fill(index), 8) });
    const one = await trainAlone(1, { dropout: 0.5, data: data(1) });
    const [first, again] = [await train(2, 2, { dropout: 0.5, data: data(2) }), await train(2, 2, { dropout: 0.5, data: data(2) })];
    expect(difference(first[0]!.said.slice(0, 2), one.said.slice(0, 2))).toBeGreaterThan(1e-3);
    expect(again).toEqual(first);
  });

  it("end together when one of them is told to, and go on together", async () => {
    const all = await together(2, async ({ gpu, ...ranks }) => {
      const stop = new AbortController();
      const trainer = trainerOn(gpu, { evaluateEvery: 100 }, ranks);
      const steps: number[] = [];
      for await (const { step } of trainer.run(9, stop.signal)) {
        steps.push(step);
        if (ranks.world.rank === 1 && step === 2) stop.abort();
      }
      steps.push(...(await numbers(trainer.run(3))).slice(0, 1));
      release(trainer);
      return steps;
    });
    expect(all).toEqual([[1, 2, 3], [1, 2, 3]]);
  });

  it("run as usual and say why; told to replay, they throw", async () => {
    const states = await together(2, async ({ gpu, ...ranks }) => {
      const [trainer, strict] = [trainerOn(gpu, {}, ranks), trainerOn(gpu, { replay: true }, ranks)];
      await numbers(trainer.run(3));
      await expect(numbers(strict.run(1))).rejects.toThrow(/TRAIN_REPLAY.*to other ranks by way of the host.*GPU_REPLAY/s);
      const { replay } = trainer;
      for (const one of [trainer, strict]) release(one);
      return replay;
    });
    expect(states[1]).toEqual({ replaying: false, reason: expect.stringMatching(/to other ranks by way of the host/) as string });
  });

  it("take no more memory once they have settled", async () => {
    const grown = await together(2, async ({ gpu, ...ranks }) => {
      const trainer = trainerOn(gpu, { data: randomWindows(tokens, { batch: 2, context: 8, seed: 1 }) }, ranks);
      await numbers(trainer.run(3));
      const before = gpu.stats;
      await numbers(trainer.run(6));
      const after = gpu.stats;
      release(trainer);
      return [after.buffers - before.buffers, after.liveBytes - before.liveBytes];
    });
    expect(grown).toEqual([[0, 0], [0, 0]]);
  });
});
