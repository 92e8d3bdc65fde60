import { communicatorLaws } from "@polyhead/testkit/communicator-laws";
import { parentPort, workerData } from "node:worker_threads";
import { joinWorld } from "../../src/index.ts";

/** A rank that keeps the laws it is told, one after the other, and says how that went. */
const port = parentPort!;
const { timeoutMs } = workerData as { readonly timeoutMs: number };
const joined = joinWorld(port, { timeoutMs });

// Not before all are there does a short time limit mean anything.
void joined.then(() => port.postMessage({ joined: true }));

async function keep(law: string): Promise<void> {
  const comm = await joined;
  await communicatorLaws().find(({ name }) => name === law)!.run(comm);
}

port.on("message", ({ law }: { readonly law?: string }) => {
  if (law === undefined) return;
  keep(law).then(
    () => port.postMessage({ done: law }),
    (error: unknown) => port.postMessage({ done: law, failure: error instanceof Error ? error.message : "not an error" }),
  );
});
