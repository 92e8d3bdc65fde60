import { communicatorLaws } from "@polyhead/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Worker } from "node:worker_threads";
import { answer, nodeWorld } from "./node-world.ts";

async function keep(workers: readonly Worker[], law: string): Promise<void> {
  const answers = await Promise.all(workers.map((worker) => {
    const done = answer<{ readonly failure?: string }>(worker, "done");
    worker.postMessage({ law });
    return done;
  }));
  expect(answers.flatMap(({ failure }) => failure ?? [])).toEqual([]);
}

const end = (workers: readonly Worker[]): Promise<unknown> => Promise.all(workers.map((worker) => worker.terminate()));

const worlds = [["transfer", 1], ["transfer", 4], ["share", 2], ["share", 3]] as const;

describe.each(worlds)("memory %s, %i threads", (memory, size) => {
  let workers: Worker[] = [];
  beforeAll(() => {
    workers = nodeWorld("laws", size, { timeoutMs: 20_000 }, { memory });
  });
  afterAll(() => end(workers));
  const laws = communicatorLaws().filter(({ ranks }) => ranks <= size);
  for (const { name, fatal, timeoutMs } of laws) {
    if (!fatal && timeoutMs === undefined) test(name, () => keep(workers, name));
    // These need ranks of their own, and time.
    else if (size === 3) {
      test(name, async () => {
        const own = nodeWorld("laws", size, { timeoutMs: timeoutMs ?? 20_000 }, { memory });
        await keep(own, name);
        await end(own);
      });
    }
  }
});
