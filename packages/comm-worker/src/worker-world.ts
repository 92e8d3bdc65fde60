import { isGreeting } from "./frames.ts";
import { createSeats, type SeatOptions } from "./seats.ts";

/** A `Worker` of Node. */
interface NodeWorker {
  postMessage(message: unknown, transfer: never[]): void;
  on(event: "message" | "error" | "exit", listener: (value: unknown) => void): unknown;
}

/** A `Worker` of a browser. */
interface WebWorker {
  postMessage(message: unknown, transfer: never[]): void;
  addEventListener(type: "message" | "error", listener: (event: object) => void): void;
}

export type Spawned = NodeWorker | WebWorker;

interface Events {
  readonly message: (data: unknown) => void;
  readonly lost: (reason: string) => void;
}

function listen(worker: Spawned, { message, lost }: Events): void {
  if ("on" in worker) {
    worker.on("message", message);
    worker.on("error", (error) => lost(error instanceof Error ? error.message : String(error)));
    worker.on("exit", (code) => (code === 0 ? undefined : lost(`its thread exited with code ${String(code)}`)));
  } else {
    worker.addEventListener("message", (event) => ("data" in event ? message(event.data) : undefined));
    worker.addEventListener("error", (event) => lost("message" in event ? String(event.message) : "its script could not be loaded"));
  }
}

/**
 * Makes a world of workers: worker `i` becomes rank `i` when it calls `joinWorld`. Of one that throws every other rank hears
 * with `COMM_LOST`. To be called right after the workers were made.
 *
 * @throws PolyheadError `COMM_ARGUMENT` for no workers, or for memory `share` where no SharedArrayBuffer is to be had.
 */
export function workerWorld(workers: readonly Spawned[], options?: SeatOptions): void {
  const { seats, lost } = createSeats(workers.length, options);
  for (const [rank, worker] of workers.entries()) {
    const seat = seats[rank]!;
    let known = false;
    listen(worker, {
      message(data) {
        if (!isGreeting(data)) return;
        const ports = [...seat.ports.filter((port) => port !== null), seat.control];
        worker.postMessage({ polyheadWorld: seat }, ports as never[]);
      },
      // What went wrong is told before that the thread has ended.
      lost(reason) {
        if (!known) lost(rank, reason);
        known = true;
      },
    });
  }
}
