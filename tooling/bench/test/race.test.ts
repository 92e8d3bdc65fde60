import { expect, test } from "vitest";
import type { Case, Contender } from "../contender.ts";
import { joined, median, race, raceTogether, rank, type Result } from "../race.ts";

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

test("right contenders rank by time; the wrong, the failed and the yardsticks follow however fast they are", () => {
  const results: Result[] = [
    { contender: "yardstick", role: "yardstick", verdict: "right", ms: 2 },
    { contender: "failed", role: "peer", verdict: "failed" },
    { contender: "fast but wrong", role: "peer", verdict: "wrong", ms: 1 },
    { contender: "slow", role: "native", verdict: "right", ms: 30 },
    { contender: "quick", role: "ours", verdict: "right", ms: 20 },
  ];
  expect(rank(results).map((r) => r.contender)).toEqual(["quick", "slow", "fast but wrong", "failed", "yardstick"]);
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

test("cases that race together take turns with each other, and get their own contenders back", async () => {
  const { contender, contest, calls, options } = stage();
  const full = { ...contest([contender("a", 1)]), name: "full" };
  const causal = { ...contest([contender("b", 1), contender("c", 1)]), name: "causal" };
  const results = await raceTogether([full, causal], { ...options, reps: 2 });
  expect(calls.join("")).toBe("abc" + "abc" + "bca");
  expect(results.map((of) => of.map((r) => r.contender).sort())).toEqual([["a"], ["b", "c"]]);
});

test("a contender past its budget is timed three times unless one takes three budgets, and a cheap one as often as asked", async () => {
  const { contender, contest, calls, options } = stage();
  await race(contest([contender("slowest", 130_000), contender("slow", 30_000), contender("quick", 1)]), { ...options, reps: 5, budgetSeconds: 40 });
  expect(calls.filter((name) => name === "slowest")).toHaveLength(1 + 1);
  expect(calls.filter((name) => name === "slow")).toHaveLength(1 + 3);
  expect(calls.filter((name) => name === "quick")).toHaveLength(1 + 5);
});

test("a yardstick is timed by its own work and judged by its own check", async () => {
  const { contest, options } = stage();
  let now = 0;
  const copy = (error: number): Contender<null> => ({
    name: "copy",
    role: "yardstick",
    setup: () =>
      Promise.resolve({
        run: () => { now += 12; return Promise.resolve(Float32Array.of(99)); },
        yardstick: { flops: 0, bytes: 64, perRun: 4, error: ([value]) => (value === 99 ? error : NaN) },
      }),
  });
  const clock = (): number => now;
  const [right] = await race(contest([copy(0)]), { ...options, clock });
  expect(right).toMatchObject({ verdict: "right", ms: 3, flops: 0, bytes: 64 });
  const [wrong] = await race(contest([copy(1)]), { ...options, clock });
  expect(wrong?.verdict).toBe("wrong");
});

test("outputs are brought into the case's order outside of the timed span", async () => {
  const { contest, options } = stage();
  let now = 0;
  const gradients: Contender<null> = {
    name: "a",
    setup: () =>
      Promise.resolve({
        run: () => { now += 5; return Promise.resolve([Float32Array.of(7), Float32Array.of(1)]); },
        arrange: ([, second]) => { now += 1000; return second!; },
      }),
  };
  const [result] = await race(contest([gradients]), { ...options, clock: () => now });
  expect(result).toMatchObject({ verdict: "right", ms: 5 });
  expect([...joined([Float32Array.of(1, 2), Float32Array.of(3)])]).toEqual([1, 2, 3]);
});
