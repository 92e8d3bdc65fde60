import { localCommunicators } from "@polyhead/comm-local";
import { expect, test } from "vitest";
import { measureOverlap, predictOverlap } from "../ring/overlap.ts";
import { ringLines } from "../ring/lines.ts";
import { solo } from "../ring/solo.ts";
import { throttled } from "../ring/throttled.ts";
import { formulaBytes, wireCases } from "../ring/wire.ts";

test("a throttled rank sends one message after the other, each as long as its bytes take, and counts them", async () => {
  const [a, b] = localCommunicators(2) as [ReturnType<typeof localCommunicators>[number], ReturnType<typeof localCommunicators>[number]];
  const slow = throttled(a, 100_000);
  const start = performance.now();
  const [first, second] = [new Uint8Array(2000).fill(1), new Uint8Array(2000).fill(2)];
  const leaving = [first, second].map((data) => slow.sendrecv({ send: { data, to: 1 } }));
  const arrivals: number[] = [];
  for (const want of [1, 2]) {
    const into = new Uint8Array(2000);
    await b.sendrecv({ receive: { into, from: 0 } }).wait();
    expect(into.every((byte) => byte === want)).toBe(true);
    arrivals.push(performance.now() - start);
  }
  for (const transfer of leaving) await transfer.wait();
  expect(arrivals[0]).toBeGreaterThanOrEqual(20);
  expect(arrivals[1]).toBeGreaterThanOrEqual(40);
  expect(slow.traffic).toMatchObject({ sentBytes: 4000, messages: 2 });
});

test.each(["forward", "backward"] as const)("an exchange loop is never faster than its prediction: %s", async (phase) => {
  for (const [compute, transfer] of [[20, 5], [5, 20]] as const) {
    const one = { name: "", phase, ranks: 3, compute, transfer };
    const { law, simulated } = predictOverlap(one);
    expect(simulated).toBeGreaterThanOrEqual(law * 0.999);
    const ms = await measureOverlap(one);
    expect(ms).toBeGreaterThan(simulated - 2);
    // Loose, for machines that do other work: the bench holds it to 10 %.
    expect(ms).toBeLessThan(simulated + 2000);
  }
});

test("predictions are those of the law by hand", () => {
  const of = (phase: "forward" | "backward", compute: number, transfer: number): number => predictOverlap({ name: "", phase, ranks: 4, compute, transfer }).simulated;
  expect(of("forward", 40, 10)).toBeCloseTo(3 * 40 + 40, 6);
  expect(of("forward", 10, 80)).toBeCloseTo(3 * 80 + 10, 6);
  expect(of("backward", 40, 10)).toBeCloseTo(4 * 40 + 10, 6);
  expect(of("backward", 10, 80)).toBeCloseTo(3 * 160, 6);
});

test("a rank alone among many waits for nobody", async () => {
  const rank = solo(2, 5);
  await rank.sendrecv({ send: { data: new Uint8Array(4), to: 3 }, receive: { into: new Uint8Array(4), from: 1 } }).wait();
  await rank.barrier();
  expect([rank.rank, rank.size]).toEqual([2, 5]);
});

test("a line holds what went over the wire beside the formula, and is right when both are equal", async () => {
  const lines = [];
  for await (const group of ringLines({ cases: /^wire forward full contiguous$/, reps: 1, quick: true, adapter: "some gpu" })) lines.push(...group);
  const bytes = formulaBytes(wireCases.find(({ name }) => name === "wire forward full contiguous")!);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ bench: "ring", case: "wire forward full contiguous", right: true, maxError: 0, adapter: "some gpu", facts: { "bytes sent": bytes, "by formula": bytes } });
  // Two of three blocks of k and v from each rank: 67 rows of 3 heads of 16 in f32, twice over.
  expect(bytes).toBe(2 * 67 * 2 * 3 * 16 * 4);
});
