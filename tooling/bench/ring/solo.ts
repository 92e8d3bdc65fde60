import type { Communicator, Transfer } from "@polyhead/core";

const done: Transfer = { wait: () => Promise.resolve() };

/** One rank of many whose peers are always ready and send nothing: what it then takes is its own work alone. */
export function solo(rank: number, size: number): Communicator {
  return {
    kind: "solo", rank, size,
    traffic: { sentBytes: 0, receivedBytes: 0, messages: 0 },
    sendrecv: () => done,
    broadcast: () => Promise.resolve(),
    allReduce: () => done,
    barrier: () => Promise.resolve(),
    split: () => Promise.reject(new Error("a rank alone has nobody to part from")),
    abort: (reason) => { throw new Error(reason); },
    close: () => Promise.resolve(),
  };
}
