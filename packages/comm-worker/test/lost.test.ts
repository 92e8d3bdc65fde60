import { expect, test } from "vitest";
import { answer, nodeWorld } from "./node-world.ts";

test.each([
  ["throws", "out of luck"],
  ["exits", "its thread ended before it had closed"],
  ["ends", "its thread ended before it had closed"],
])("a worker that %s without close is lost to every other rank", async (leaves, reason) => {
  const workers = nodeWorld("lost", 3, { leaves });
  workers[1]!.on("error", () => undefined);
  const began = performance.now();
  const answers = await Promise.all([0, 2].map((rank) => answer<{ readonly failed: readonly string[] }>(workers[rank]!, "failed")));
  for (const { failed } of answers) {
    for (const message of failed) expect(message).toMatch(new RegExp(String.raw`^\[COMM_LOST\] rank [02]: rank 1 is lost: ${reason}`));
  }
  expect(performance.now() - began).toBeLessThan(10_000);
  await Promise.all(workers.map((worker) => worker.terminate()));
});
