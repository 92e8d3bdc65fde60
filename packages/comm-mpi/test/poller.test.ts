import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createPoller } from "../src/poller.ts";

test("looks only while something is under way", async () => {
  const poller = createPoller();
  let looks = 0;
  poller.onLook(() => looks++);
  await sleep(20);
  expect(looks).toBe(0);
  poller.hold();
  await sleep(20);
  expect(looks).toBeGreaterThan(3);
  poller.release();
  await sleep(5);
  const after = looks;
  await sleep(20);
  expect(looks).toBe(after);
});

test("what stays away for long is looked for less often", async () => {
  const poller = createPoller();
  let looks = 0;
  poller.onLook(() => looks++);
  poller.hold();
  await sleep(30);
  const eager = looks;
  await sleep(100);
  poller.release();
  // Once a millisecond at most, whatever the first turns were.
  expect(looks - eager).toBeLessThan(110);
  expect(looks - eager).toBeGreaterThan(0);
});

test("glances are counted by the turn, so that the event loop goes on", async () => {
  const poller = createPoller();
  let glances = 0;
  const glance = (): void => {
    for (let i = 0; i < 1000; i++) poller.glance(() => glances++);
  };
  glance();
  const first = glances;
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(100);
  await sleep(5);
  glance();
  expect(glances).toBe(2 * first);
});
