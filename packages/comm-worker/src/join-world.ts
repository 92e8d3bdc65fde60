import { type Communicator, type CommunicatorOptions, DEFAULT_TIMEOUT_MS, PolyheadError } from "@polyhead/core";
import { isGreeting } from "./frames.ts";
import { type Seat, takeSeat } from "./seats.ts";

/** What leads to the spawner: `parentPort` of `node:worker_threads`, or `self` in a web worker. */
export interface Spawner {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: object) => void): void;
  removeEventListener(type: "message", listener: (event: object) => void): void;
}

/**
 * This worker's communicator in the world to which its spawner has appointed it by `workerWorld`.
 *
 * @throws PolyheadError `COMM_TIMEOUT` when that does not happen within the time limit, `COMM_ARGUMENT` as `takeSeat`.
 */
export async function joinWorld(spawner: Spawner, options: CommunicatorOptions = {}): Promise<Communicator> {
  return takeSeat(await seatFrom(spawner, options.timeoutMs ?? DEFAULT_TIMEOUT_MS), options);
}

function seatFrom(spawner: Spawner, timeoutMs: number): Promise<Seat> {
  return new Promise((resolve, reject) => {
    const listener = (event: object): void => {
      if (!("data" in event) || !isGreeting(event.data)) return;
      rest();
      resolve(event.data.polyheadWorld as Seat);
    };
    const timer = setTimeout(() => {
      rest();
      reject(new PolyheadError("COMM_TIMEOUT", `a worker waited ${timeoutMs} ms for its seat in a world`,
        "give the worker to workerWorld right after it is made, in the thread that made it"));
    }, timeoutMs);
    const rest = (): void => {
      clearTimeout(timer);
      spawner.removeEventListener("message", listener);
    };
    spawner.addEventListener("message", listener);
    // Asking first: a message that comes before a worker listens may be lost.
    spawner.postMessage({ polyheadWorld: "join" });
  });
}
