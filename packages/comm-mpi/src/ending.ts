import { writeSync } from "node:fs";
import { abortedError, lostError, type Operations, type PolyheadError } from "@polyhead/core";
import { endedError } from "./errors.ts";
import type { Handle, Mpi } from "./library.ts";
import type { Poller } from "./poller.ts";
import type { Requests } from "./requests.ts";
import type { Witness } from "./witness.ts";

/** How a job ends other than by `close` of every rank, and what each rank says of it. */
export interface Ending {
  /** This rank gives up: tells the others, then has the launcher end the job. `error` is what this rank's operations reject with. */
  giveUp(error: PolyheadError, reason: string): void;
  /** MPI reports that a link is broken. */
  linkFailed(text: string): void;
  /** The job goes on without this rank watching: it has closed. */
  remove(): void;
}

export interface EndingOptions {
  readonly mpi: Mpi;
  /** A communicator of MPI on which nothing else is sent from rank to rank. */
  readonly control: Handle;
  readonly poller: Poller;
  readonly requests: Requests;
  readonly operations: Operations;
  readonly witness: Witness;
  readonly rank: number;
  readonly size: number;
}

/** What a rank that gives up, or is found to be leaving, tells the others. */
interface Farewell {
  readonly code: "COMM_ABORTED" | "COMM_LOST";
  readonly by: number;
  readonly reason: string;
}

const FAREWELL_TAG = 1;
const FAREWELL_BYTES = 2048;
/** Between the rejection of what waits and the end of the process: time to catch, and to print. */
const MOMENT_MS = 500;

function encode(farewell: Farewell): Uint8Array {
  const bytes = new Uint8Array(FAREWELL_BYTES);
  // A character may take three bytes.
  new TextEncoder().encodeInto(JSON.stringify({ ...farewell, reason: farewell.reason.slice(0, FAREWELL_BYTES / 4) }), bytes);
  return bytes;
}

const decode = (bytes: Uint8Array): Farewell => JSON.parse(new TextDecoder().decode(bytes).replace(/\0.*$/s, "")) as Farewell;

/** Synchronous, since the process may be about to end. */
export function say(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch {
    // Nobody reads it.
  }
}

export function watchEnding({ mpi, control, poller, requests, operations, witness, rank, size }: EndingOptions): Ending {
  const { abi, address, call, handles } = mpi;
  let over = false;
  let bySignal = false;
  let since = 0;
  let uncaught = "";

  /** What is under way rejects, and a line is printed; false when that was so before. */
  const end = (error: PolyheadError): boolean => {
    if (over) return false;
    over = true;
    since = performance.now();
    witness.dismiss();
    operations.end(error);
    say(`polyhead: ${error.message}`);
    return true;
  };
  const abortIn = (milliseconds: number): void => void setTimeout(() => call.Abort(handles.COMM_WORLD, 1), milliseconds);
  const tellOthers = (farewell: Farewell): void => {
    const bytes = encode(farewell);
    for (let to = 0; to < size; to++) {
      if (to !== rank) void requests.start(bytes, (request) => call.Isend(address(bytes), bytes.length, handles.BYTE, to, FAREWELL_TAG, control, request));
    }
  };

  const heard = new Uint8Array(FAREWELL_BYTES);
  const listener = requests.listen(heard, (request) => call.Irecv(address(heard), heard.length, handles.BYTE, abi.anySource, FAREWELL_TAG, control, request));
  void listener.ended.then((failure) => {
    if (failure !== undefined) return;
    const { code, by, reason } = decode(heard);
    // That rank has the job ended; this one does it should that rank not get so far.
    if (end(code === "COMM_LOST" ? lostError(rank, by, reason) : abortedError(rank, by, reason))) abortIn(4 * MOMENT_MS);
  });

  const onTerminate = (): void => {
    bySignal = true;
    // Another rank may have said why, while this one was not looking: its word is heard before the next one's here.
    poller.spin(1);
    void Promise.resolve().then(() => end(endedError(rank, "the launcher ended the job (SIGTERM): another rank was lost, or somebody cancelled it")));
    // A listener of the program's own has its own way to end.
    if (process.listenerCount("SIGTERM") === 1) setTimeout(() => process.exit(143), MOMENT_MS);
  };
  const onUncaught = (error: unknown): void => {
    if (error === operations.ended) return;
    uncaught = error instanceof Error ? error.message.split("\n")[0]! : String(error);
    // Node prints it after the exit hooks, when MPI_Abort has ended the process.
    say(`polyhead: rank ${rank} ends by an uncaught error\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  const onExit = (code: number): void => {
    if (bySignal) {
      if (code === 0) process.exitCode = 143;
      return;
    }
    const reason = uncaught === "" ? `it left without close(), exit code ${code}` : `it threw: ${uncaught}`;
    if (end(lostError(rank, rank, reason))) tellOthers({ code: "COMM_LOST", by: rank, reason });
    // MPICH's launcher kills the other ranks at once: let them hear why first.
    poller.spin(Math.max(0, since + MOMENT_MS - performance.now()));
    call.Abort(handles.COMM_WORLD, code === 0 ? 1 : code);
  };
  process.on("SIGTERM", onTerminate);
  process.on("uncaughtExceptionMonitor", onUncaught);
  process.on("exit", onExit);

  return {
    giveUp(error, reason) {
      if (!end(error)) return;
      tellOthers({ code: "COMM_ABORTED", by: rank, reason });
      abortIn(MOMENT_MS);
    },
    linkFailed(text) {
      const error = endedError(rank, `MPI reports: ${text}`);
      if (!end(error)) return;
      tellOthers({ code: "COMM_LOST", by: rank, reason: `MPI reports to it: ${text}` });
      abortIn(MOMENT_MS);
    },
    remove() {
      over = true;
      witness.dismiss();
      listener.cancel();
      process.off("SIGTERM", onTerminate);
      process.off("uncaughtExceptionMonitor", onUncaught);
      process.off("exit", onExit);
    },
  };
}
