import { PolyheadError } from "../errors.ts";

/** The codes of every communicator's errors. */
export type CommunicatorCode = "COMM_ARGUMENT" | "COMM_LENGTH" | "COMM_TIMEOUT" | "COMM_ABORTED" | "COMM_LOST" | "COMM_CLOSED";

/** What a rank waits for, as messages name it. */
export interface Waiting {
  /** Such as `send`, `receive` or `allReduce`. */
  readonly operation: string;
  /** Ranks that must do their part, as the communicator of the operation numbers them; empty for all of them. */
  readonly peers: readonly number[];
  /** Left out where the operation has none. */
  readonly tag?: number;
  readonly bytes: number;
}

const ranks = (peers: readonly number[]): string =>
  peers.length === 0 ? "every rank" : `${peers.length === 1 ? "rank" : "ranks"} ${peers.join(", ")}`;

/** Such as `receive of 4096 bytes, tag 3, from rank 2`. */
export function describeWaiting({ operation, peers, tag, bytes }: Waiting): string {
  const [of, direction] = operation === "send" ? ["of", "to"] : operation === "receive" ? ["of", "from"] : ["over", "with"];
  return `${operation} ${of} ${bytes} bytes${tag === undefined ? "" : `, tag ${tag}`}, ${direction} ${ranks(peers)}`;
}

/** `COMM_ARGUMENT`: something that no communicator could do. */
export const argumentError = (rank: number, given: string, fix: string): PolyheadError =>
  new PolyheadError("COMM_ARGUMENT", `rank ${rank}: ${given}`, fix);

/** `COMM_LENGTH`: `waiting` describes what was expected, `arrived` is the length of the message in bytes. */
export const lengthError = (rank: number, waiting: Waiting, arrived: number): PolyheadError =>
  new PolyheadError("COMM_LENGTH", `rank ${rank}: ${describeWaiting(waiting)}: the message has ${arrived} bytes`,
    "make `into` exactly as long as what the other rank sends, and give messages of different lengths different tags or one order");

/** `COMM_TIMEOUT`: names every operation that is waited for, the longest first. */
export function timeoutError(rank: number, timeoutMs: number, waiting: readonly Waiting[]): PolyheadError {
  const shown = waiting.slice(0, 8).map(describeWaiting);
  const more = waiting.length > shown.length ? [`and ${waiting.length - shown.length} more`] : [];
  return new PolyheadError("COMM_TIMEOUT", `rank ${rank} waited ${timeoutMs} ms for: ${[...shown, ...more].join("; ")}`,
    "look at what the ranks named were doing: gone, blocked, or never calling the matching operation; raise timeoutMs if they were merely slow");
}

/** `COMM_ABORTED`: `by` called `abort`, or its watchdog did. */
export const abortedError = (rank: number, by: number, reason: string): PolyheadError =>
  new PolyheadError("COMM_ABORTED", `rank ${rank}: rank ${by} ended the job: ${reason}`, "correct what made that rank give up, then start the job again");

/** `COMM_LOST`: rank `lost` is gone. */
export const lostError = (rank: number, lost: number, reason: string): PolyheadError =>
  new PolyheadError("COMM_LOST", `rank ${rank}: rank ${lost} is lost: ${reason}`, "look at that rank's own output, then start the job again, from the last checkpoint if there is one");

/** `COMM_CLOSED`: `what` was called after `close`. */
export const closedError = (rank: number, what: string): PolyheadError =>
  new PolyheadError("COMM_CLOSED", `rank ${rank}: ${what} after close()`, "close a communicator last");
