import { causal, full, isPolyheadError, prefix, window } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { balanceOf, countSteps, deviceMemory, flopsPerPair, gatherHeads, hidingTokens, simulateRing, stepTimes, wireBytes, type RingMachine, type RingPhase, type RingProblem } from "../src/planning/index.ts";

const problem = (given: Partial<RingProblem>): RingProblem => ({ ranks: 8, tokens: 8 * 256, heads: 8, kvHeads: 8, headDim: 64, elementBytes: 4, mask: full(), layout: "contiguous", ...given });
const phases: readonly RingPhase[] = ["forward", "backward"];
const links = [1e7, 1e8, 3e8, 1e9, 3e9, 1e10];

describe.each(phases)("%s", (phase) => {
  it("the simulation takes the law's time where steps are even", () => {
    for (const linkBytes of links) {
      for (const ranks of [1, 2, 3, 8, 32]) {
        for (const mask of [full(), causal()]) {
          const of = problem({ ranks, tokens: ranks * 256, mask, layout: "zigzag" });
          const machine: RingMachine = { flops: 1e10, linkBytes, latency: 1e-5, busBytes: 1e10, stepSeconds: 1e-5 };
          const { total } = stepTimes(of, machine, phase);
          const { seconds } = simulateRing(of, machine, phase);
          // Step 0 has a little more than its share of a causal mask: the diagonal.
          expect(seconds, `${ranks} ranks at ${linkBytes}`).toBeGreaterThan(total * 0.99);
          expect(seconds, `${ranks} ranks at ${linkBytes}`).toBeLessThan(total * (phase === "forward" ? 1.01 : 1.14));
        }
      }
    }
  });

  it("the simulation sends the bytes of the formula", () => {
    for (const mask of [full(), causal(), window(300)]) {
      for (const layout of ["contiguous", "zigzag", "striped"] as const) {
        const of = problem({ ranks: 5, tokens: 1003, kvHeads: 2, elementBytes: 2, mask, layout });
        expect(simulateRing(of, { flops: 1e10, linkBytes: 1e9 }, phase).bytes, `${mask.kind} ${layout}`).toBe(wireBytes(of, phase).total);
      }
    }
  });

  it("transfer hides from the formula's block size on", () => {
    for (const mask of [full(), causal()]) {
      const machine: RingMachine = { flops: 1e12, linkBytes: 1e10 };
      const c = hidingTokens(problem({ mask }), machine, phase);
      const at = (tokens: number) => stepTimes(problem({ mask, tokens: 8 * Math.round(tokens) }), machine, phase);
      expect(at(c * 1.1).compute).toBeGreaterThan(at(c * 1.1).network);
      expect(at(c / 1.1).compute).toBeLessThan(at(c / 1.1).network);
    }
  });
});

it("a ring's time is (n − 1) · max(t_c, t_n) + t_c", () => {
  const of = problem({ ranks: 5, tokens: 5 * 256 });
  for (const linkBytes of links) {
    const { compute, network, total } = stepTimes(of, { flops: 1e10, linkBytes, latency: 1e-4, stepSeconds: 1e-5 }, "forward");
    expect(total).toBeCloseTo(4 * Math.max(compute, network) + compute, 12);
  }
});

it("backward, the law is the simulation's time where compute or the link is slower by far", () => {
  for (const linkBytes of [1e7, 3e7, 1e9, 1e10]) {
    for (const ranks of [2, 3, 8, 32]) {
      const of = problem({ ranks, tokens: ranks * 256 });
      const machine: RingMachine = { flops: 1e10, linkBytes };
      expect(simulateRing(of, machine, "backward").seconds / stepTimes(of, machine, "backward").total, `${ranks} ranks at ${linkBytes}`).toBeCloseTo(1, 6);
    }
  }
});

it("hiding block sizes are those of the ring's arithmetic", () => {
  const machine: RingMachine = { flops: 1e13, linkBytes: 12.5e9 };
  const ratio = 1e13 / 12.5e9;
  const of = problem({ heads: 32, kvHeads: 4, elementBytes: 2 });
  expect(hidingTokens(of, machine, "forward")).toBeCloseTo((2 / 2) * (4 / 32) * ratio, 9);
  expect(hidingTokens(of, machine, "backward")).toBeCloseTo((6 / 5) * (4 / 32) * ratio, 9);
  expect(hidingTokens({ ...of, mask: causal() }, machine, "forward")).toBeCloseTo(2 * (2 / 2) * (4 / 32) * ratio, 9);
});

it("contiguous causal ranks idle, as the law does not know: the last one finishes last, and half of all work waits", () => {
  const of = problem({ ranks: 16, tokens: 16 * 64, mask: causal() });
  const machine: RingMachine = { flops: 1e9, linkBytes: 1e12 };
  const { seconds, finished, utilisation } = simulateRing(of, machine, "forward");
  expect(utilisation).toBeCloseTo(balanceOf(countSteps(of)).overall, 2);
  expect(seconds).toBeGreaterThan(1.9 * stepTimes(of, machine, "forward").total);
  expect([...finished]).toEqual([...finished].sort((a, b) => a - b));
  expect(simulateRing({ ...of, layout: "zigzag" }, machine, "forward").utilisation).toBeGreaterThan(0.99);
  expect(simulateRing({ ...of, layout: "striped" }, machine, "forward").utilisation).toBeGreaterThan(0.96);
});

it("a window skips steps in time and in bytes", () => {
  const of = problem({ ranks: 16, tokens: 16 * 64, mask: causal() });
  const machine: RingMachine = { flops: 1e10, linkBytes: 1e8 };
  const [whole, near] = [simulateRing(of, machine, "forward"), simulateRing({ ...of, mask: window(64) }, machine, "forward")];
  expect(near.seconds).toBeLessThan(whole.seconds / 4);
  expect(near.bytes).toBeLessThan(whole.bytes / 4);
});

it("1,024 ranks are simulated in seconds, and agree with the law", () => {
  const of = problem({ ranks: 1024, tokens: 2 ** 20, heads: 32, kvHeads: 4, headDim: 128, elementBytes: 2, mask: causal(), layout: "zigzag" });
  const machine: RingMachine = { flops: 1e13, linkBytes: 12.5e9, busBytes: 12.5e9, stepSeconds: 150e-6 };
  const steps = countSteps(of);
  for (const phase of phases) {
    const begun = performance.now();
    const { seconds, utilisation } = simulateRing(of, machine, phase, { steps });
    expect(performance.now() - begun).toBeLessThan(20_000);
    const law = stepTimes(of, machine, phase);
    expect(Math.abs(seconds / law.total - 1)).toBeLessThan(0.01);
    expect(Math.abs(utilisation / law.efficiency - 1)).toBeLessThan(0.01);
  }
});

it("a timeline holds every stretch of work, in no rank's device or link two at once", () => {
  const of = problem({ ranks: 3, tokens: 300, kvHeads: 2, mask: causal(), layout: "zigzag" });
  const { timelines, seconds, bytes } = simulateRing(of, { flops: 1e9, linkBytes: 1e8, busBytes: 1e9 }, "backward", { timelines: 3 });
  const all = timelines.flatMap(({ events }) => events);
  expect(all.filter(({ kind }) => kind === "compute")).toHaveLength(9);
  expect(all.filter(({ kind }) => kind === "upload")).toHaveLength(6);
  expect(all.filter(({ kind }) => kind === "transfer")).toHaveLength(3 * (2 + 2));
  expect(all.reduce((sum, { kind, bytes: moved }) => sum + (kind === "transfer" ? moved : 0), 0)).toBe(bytes);
  expect(Math.max(...all.map(({ end }) => end))).toBeCloseTo(seconds * 1000, 9);
  for (const { events } of timelines) {
    for (const resource of [["transfer"], ["compute", "upload", "read"]]) {
      const mine = events.filter(({ kind }) => resource.includes(kind)).sort((a, b) => a.start - b.start);
      for (let i = 1; i < mine.length; i++) expect(mine[i]!.start).toBeGreaterThanOrEqual(mine[i - 1]!.end - 1e-9);
    }
  }
});

it("heads are stored and sent in fours", () => {
  expect(wireBytes(problem({ headDim: 6 }), "backward").total).toBe(wireBytes(problem({ headDim: 8 }), "backward").total);
  expect(deviceMemory(problem({ headDim: 6 }), "forward").bytes).toBe(deviceMemory(problem({ headDim: 8 }), "forward").bytes);
});

it("FLOP a pair are two products forward, five backward", () => {
  expect(flopsPerPair(problem({ batch: 2 }), "forward")).toBe(2 * 2 * 64 * 8 * 2);
  expect(flopsPerPair(problem({ batch: 2 }), "backward")).toBe(5 * 2 * 64 * 8 * 2);
});

it("memory is 6 blocks forward and 12 backward, two more while a step is added, 4 and 8 alone; it falls as 1/ranks", () => {
  const of = problem({});
  const block = (of.tokens / of.ranks) * of.heads * of.headDim * 4;
  const rows = (of.tokens / of.ranks) * of.heads * 4;
  expect(deviceMemory(of, "forward").bytes).toBe((6 + 2) * block + rows);
  expect(deviceMemory(of, "backward").bytes).toBe((12 + 2) * block + 2 * rows);
  expect(deviceMemory(of, "backward").held.reduce((sum, { blocks }) => sum + blocks, 0)).toBe(14);
  expect(deviceMemory({ ...of, ranks: 1 }, "forward").bytes).toBe(8 * (4 * block + rows));
  expect(deviceMemory({ ...of, ranks: 1 }, "backward").bytes).toBe(8 * (8 * block + 2 * rows));
  expect(deviceMemory({ ...of, ranks: 2 * of.ranks }, "backward").bytes * 2).toBe(deviceMemory(of, "backward").bytes);
  // One key head of eight: k, v and their gradients take an eighth.
  expect(deviceMemory({ ...of, kvHeads: 1 }, "forward").bytes).toBe((2 + 2 + 4 / 8) * block + rows);
});

it("gathering heads sends less than a ring, up to as many ranks as key heads", () => {
  const machine: RingMachine = { flops: 1e12, linkBytes: 1e10 };
  const of = problem({});
  // q, k, v there, o and lse back, of which an eighth stays.
  const c = of.tokens / of.ranks;
  expect(gatherHeads(of, machine, "forward").sentBytes).toBe((7 / 8) * c * 4 * (64 * (8 + 16 + 8) + 8));
  expect(gatherHeads(of, machine, "forward").sentBytes).toBeLessThan(wireBytes(of, "forward").sent[0]!);
  // Uneven: three ranks send 2 · 2 messages of q and o, of k and v, and one of the log-sum-exp, for 22, 22 and 23 rows.
  const uneven = problem({ ranks: 3, tokens: 67, heads: 6, kvHeads: 3, headDim: 16 });
  expect(gatherHeads(uneven, machine, "forward").totalBytes).toBe(2 * (67 * 4 * 16 * (2 * 2 + 2 * 1) + 176 + 176 + 192));
  expect(() => gatherHeads({ ...of, ranks: 16 }, machine, "forward")).toThrow(/RING_PLAN.*16 ranks cannot share out 8 key heads/s);
});

it("what cannot be planned is named", () => {
  const machine: RingMachine = { flops: 1e12, linkBytes: 1e10 };
  const code = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      if (isPolyheadError(error)) return `${error.code} ${error.message}`;
      throw error;
    }
    return "nothing was thrown";
  };
  expect(code(() => countSteps(problem({ ranks: 0 })))).toMatch(/RING_PLAN.*ranks is 0/);
  expect(code(() => countSteps(problem({ ranks: 9, tokens: 8 })))).toMatch(/RING_PLAN.*8 tokens cannot be shared out among 9 ranks/);
  expect(code(() => countSteps(problem({ kvHeads: 3 })))).toMatch(/RING_PLAN.*8 query heads are no multiple of 3/);
  expect(code(() => countSteps(problem({ mask: prefix(3) })))).toMatch(/RING_PLAN.*prefix\(3\)/);
  expect(code(() => stepTimes(problem({ mask: window(3) }), machine, "forward"))).toMatch(/RING_PLAN.*window\(3, 0\).*simulateRing/s);
  expect(code(() => simulateRing(problem({}), { ...machine, linkBytes: 0 }, "forward"))).toMatch(/RING_PLAN.*linkBytes is 0/);
  expect(code(() => simulateRing(problem({}), { ...machine, latency: -1 }, "forward"))).toMatch(/RING_PLAN.*latency is -1/);
});
