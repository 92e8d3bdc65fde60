import { expect, test } from "vitest";
import { communicatorLaws, type CommunicatorLaw } from "../src/index.ts";
import { FAULTS } from "./host/communicator-faults.ts";
import { type CommunicatorFault, hostCommunicators } from "./host/communicators.ts";

const RANKS = 3;

async function check({ run, timeoutMs, fatal }: CommunicatorLaw, fault?: CommunicatorFault): Promise<void> {
  const comms = hostCommunicators(RANKS, timeoutMs ?? 1000, fault);
  try {
    await Promise.all(comms.map(run));
  } finally {
    // A rank that found the fault leaves others waiting.
    if (!fatal && fault !== undefined) for (const comm of comms) comm.abort("a law was broken");
  }
}

for (const law of communicatorLaws()) test(`ranks of one process keep the law: ${law.name}`, () => check(law));

for (const { what, breaks, ...fault } of FAULTS) {
  test(`a communicator that ${what} breaks the law it should: ${breaks.source}`, async () => {
    const [law, ...others] = communicatorLaws().filter(({ name }) => breaks.test(name));
    expect(others).toEqual([]);
    await expect(check(law!, fault)).rejects.toThrow();
  });
}

test("no law is without a fault that it finds", () => {
  expect(communicatorLaws().map(({ name }) => name).filter((name) => !FAULTS.some(({ breaks }) => breaks.test(name)))).toEqual([]);
});
