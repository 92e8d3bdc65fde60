import { isPolyheadError } from "@polyhead/core";
import { communicatorLaws } from "@polyhead/testkit/communicator-laws";
import { joinWorld } from "../../src/index.ts";

const { name: chosen } = globalThis as { readonly name?: string };

/** A web worker that keeps the laws that its name chooses; rank 1 is then lost, and the others say what they heard. */
const comm = await joinWorld(globalThis, { timeoutMs: 20_000 });
for (const law of communicatorLaws()) {
  if (!law.fatal && law.timeoutMs === undefined && new RegExp(chosen!).test(law.name)) {
    await law.run(comm);
    if (comm.rank === 0) globalThis.postMessage({ kept: law.name });
  }
}
await comm.barrier();
if (comm.rank === 1) void Promise.reject(new Error("out of luck"));
else {
  const failure: unknown = await comm.sendrecv({ receive: { into: new Float32Array(1), from: 1 } }).wait().catch((error: unknown) => error);
  globalThis.postMessage({ heard: isPolyheadError(failure) ? failure.message : "nothing" });
}
