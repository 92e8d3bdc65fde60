import { expect, test } from "vitest";
import type { Case, Contender } from "../contender.ts";
import { median, race, rank, type Result } from "../race.ts";

/** A clock that stands still but for what contenders make of it. */
function stage() {
  let now = 0;
  const calls: string[] = [];
  const contender = (name: string, ms: number, output: () => number = () => 1): Contender<null> => ({
    name,
    setup: () =>
      Promise.resolve({
        run() {
          now += ms;
          calls.push(name);
          return Promise.resolve(Float32Array.of(output()));
        },
      }),
  });
  const contest = (contenders: Contender<null>[], extra: Partial<Case<null>> = {}): Case<null> => ({
    bench: "b", name: "c", problem: null, contenders, flops: 1e6, perRun: 1, warmups: 1,
    error: ([value = NaN]) => Math.abs(value - 1),
    tolerance: 1e-3,
    ...extra,
  });
  return { contender, contest, calls, options: { reps: 3, capSeconds: 5, clock: () => now } };
}

test("the median is the middle value, and the mean of the middle two for an even count", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 2])).toBe(3.5);
  expect(median([])).toBeNaN();
});

test("right contenders rank by time, and the wrong and the failed follow however fast they are", () => {
  const results: Result[] = [
    { contender: "failed", verdict: "failed" },
    { contender: "fast but wrong", verdict: "wrong", ms: 1 },
    { contender: "slow", verdict: "right", ms: 30 },
    { contender: "quick", verdict: "right", ms: 20 },
  ];
  expect(rank(results).map((r) => r.contender)).toEqual(["quick", "slow", "fast but wrong", "failed"]);
});

test("contenders take turns in an order that rotates", async () => {
  const { contender, contest, calls, options } = stage();
  await race(contest([contender("a", 1), contender("b", 1), contender("c", 1)]), options);
  expect(calls.join("")).toBe("abc" + "abc" + "bca" + "cab");
});

test("times are those of one product when a run does several, and the first run is not among them", async () => {
  const { contest, options } = stage();
  let now = 0;
  const lengths = [1000, 4, 8, 12];
  const warming: Contender<null> = {
    name: "a",
    setup: () => Promise.resolve({ run: () => { now += lengths.shift() ?? NaN; return Promise.resolve(Float32Array.of(1)); } }),
  };
  const [result] = await race(contest([warming], { perRun: 4 }), { ...options, clock: () => now });
  expect(result).toMatchObject({ ms: 2, leastMs: 1, firstMs: 1000, verdict: "right" });
});

test("a wrong output in any repetition makes a contender wrong, with the error as its reason", async () => {
  const { contender, contest, options } = stage();
  let runs = 0;
  const [first, second] = await race(contest([contender("liar", 1, () => (++runs === 4 ? 1.5 : 1)), contender("honest", 9)]), options);
  expect(first).toMatchObject({ contender: "honest", verdict: "right" });
  expect(second).toMatchObject({ contender: "liar", verdict: "wrong", maxError: 0.5, reason: "error 5.0e-1, where 1e-3 is allowed" });
});

test("NaN is wrong, even when a right output comes after it", async () => {
  const { contender, contest, options } = stage();
  let runs = 0;
  const [result] = await race(contest([contender("a", 1, () => (++runs === 2 ? NaN : 1))]), options);
  expect(result?.verdict).toBe("wrong");
  expect(result?.maxError).toBeNaN();
});

test("every repetition is checked under its own number, warm-ups first", async () => {
  const { contender, contest, options } = stage();
  const seen: number[] = [];
  await race(contest([contender("a", 1)], { warmups: 2, error: (_, repetition) => { seen.push(repetition); return 0; } }), options);
  expect(seen).toEqual([0, 1, 2, 3, 4]);
});

test("a contender that cannot start is reported with its reason and does not stop the others", async () => {
  const { contender, contest, options } = stage();
  const broken: Contender<null> = { name: "broken", setup: () => Promise.reject(new Error("no such backend\nstack")) };
  const results = await race(contest([broken, contender("a", 1)]), options);
  expect(results.map((r) => r.verdict)).toEqual(["right", "failed"]);
  expect(results[1]?.reason).toBe("no such backend");
});

test("a contender that breaks during the race is failed, not ranked by the times it made", async () => {
  const { contender, contest, options } = stage();
  let runs = 0;
  const breaking = contender("a", 1, () => { if (++runs === 3) throw new Error("device lost"); return 1; });
  const [result] = await race(contest([breaking]), options);
  expect(result).toMatchObject({ verdict: "failed", reason: "device lost" });
  expect(result?.ms).toBeUndefined();
});

test("a contender that is not ready within the cap is failed", async () => {
  const { contest, options } = stage();
  const stuck: Contender<null> = { name: "stuck", setup: () => new Promise(() => undefined) };
  const [result] = await race(contest([stuck]), { ...options, capSeconds: 0.01 });
  expect(result).toMatchObject({ verdict: "failed", reason: "not ready within 0.01 s (--cap)" });
});
