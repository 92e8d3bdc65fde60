import { isPolyheadError } from "@polyhead/core";
import { parentPort, workerData } from "node:worker_threads";
import { joinWorld } from "../../src/index.ts";

/** Rank 1 leaves in the way it is told; the others wait for something that it will never do. */
const { leaves } = workerData as { readonly leaves: string };
const comm = await joinWorld(parentPort!);
await comm.barrier();
if (comm.rank !== 1) {
  const waiting = comm.rank === 0 ? comm.sendrecv({ receive: { into: new Float32Array(4), from: 1 }, tag: 3 }).wait() : comm.barrier();
  const failure: unknown = await waiting.then(() => undefined, (error: unknown) => error);
  const later: unknown = await comm.barrier().then(() => undefined, (error: unknown) => error);
  parentPort!.postMessage({ failed: [failure, later].map((error) => (isPolyheadError(error) ? error.message : "no failure")) });
} else if (leaves === "throws") {
  throw new Error("out of luck");
} else if (leaves === "exits") {
  process.exit(0);
}
// Or its program just ends, without close.
