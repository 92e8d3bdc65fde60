import { expect, test } from "vitest";
import { stepMeter, type Counted } from "../ours/step-meter.ts";

test("a meter counts the steady half of the steps: medians of time, the maximum of allocations", async () => {
  const stats = { dispatches: 0, submits: 0, replays: 0, bindGroups: 0, pipelines: 0, buffers: 0, liveBytes: 0, peakBytes: 640, heldBytes: 0 };
  const gpu: Counted = { get stats() { return { ...stats }; } };
  let now = 0;
  const meter = stepMeter(gpu, () => now);
  const step = (buffers: number, bindGroups: number): Promise<string> =>
    meter.step(
      () => { stats.dispatches += 10; stats.bindGroups += bindGroups; now += 2; return "loss"; },
      (recorded) => { stats.buffers += buffers; now += 500; return Promise.resolve(recorded); },
    );
  for (const [buffers, bindGroups] of [[50, 90], [9, 9], [0, 0], [1, 0]] as const) expect(await step(buffers, bindGroups)).toBe("loss");
  expect(meter.facts()).toEqual({
    "dispatches/step": 10, "JavaScript ms/step": 2, "JavaScript µs/dispatch": 200, "peak bytes": 640, "new buffers/step": 1, "new bind groups/step": 0,
  });
});
