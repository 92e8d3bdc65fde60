import { communicatorLaws } from "@polyhead/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Worker } from "node:worker_threads";
import type { Memory } from "../src/index.ts";
import { answer, nodeWorld } from "./node-world.ts";

async function lawful(size: number, memory: Memory, timeoutMs: number): Promise<Worker[]> {
  const workers = nodeWorld("laws", size, { timeoutMs }, { memory });
  await Promise.all(workers.map((worker) => answer(worker, "joined")));
  return workers;
}

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
  beforeAll(async () => {
    workers = await lawful(size, memory, 20_000);
  });
  afterAll(() => end(workers));
  const laws = communicatorLaws().filter(({ ranks }) => ranks <= size);
  for (const { name, fatal, timeoutMs } of laws) {
    if (!fatal && timeoutMs === undefined) test(name, () => keep(workers, name));
    // These need ranks of their own, and time.
    else if (size === 2) {
      test(name, async () => {
        const own = await lawful(size, memory, timeoutMs ?? 20_000);
        await keep(own, name);
        await end(own);
      });
    }
  }
});
