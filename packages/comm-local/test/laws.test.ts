import { communicatorLaws } from "@polyhead/testkit";
import { describe, test } from "vitest";
import { localCommunicators } from "../src/index.ts";

describe.each([1, 2, 3, 4, 5])("%i ranks", (size) => {
  for (const { name, ranks, fatal, timeoutMs, run } of communicatorLaws()) {
    // Those of the time limit take it, so once is enough.
    if (ranks > size || (timeoutMs !== undefined && size !== 3)) continue;
    test(name, async () => {
      const comms = localCommunicators(size, { timeoutMs: timeoutMs ?? 5000 });
      await Promise.all(comms.map(run));
      if (!fatal) await Promise.all(comms.map((comm) => comm.close()));
    });
  }
});
