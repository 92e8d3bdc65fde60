import type { MessageData } from "@polyhead/core";
import type { Handle, Mpi } from "./library.ts";
import { pinned } from "./pinned.ts";
import type { Poller } from "./poller.ts";
import { explain, type Failure, type Requests } from "./requests.ts";

/** How a receive ended: the length of the message in bytes, or what MPI says. */
export type Arrival = { readonly bytes: number } | { readonly failure: string };

export interface Arrivals {
  /** Starts to receive. A message of another length than `into` is taken and dropped. */
  receive(comm: Handle, from: number, tag: number, into: MessageData): Promise<Arrival>;
}

/** Receives of one rank, tag and communicator: messages are theirs in this order. */
interface Line {
  readonly comm: Handle;
  readonly from: number;
  readonly tag: number;
  readonly waiting: { readonly into: MessageData; readonly settle: (arrival: Promise<Arrival> | Arrival) => void }[];
}

/**
 * Receives are not posted before their message is there, but looked for: the length is known then, and memory too short for it
 * is never handed to MPI. Open MPI 4 writes beyond such memory, or crashes, where one process reads another's memory.
 */
export function createArrivals(mpi: Mpi, poller: Poller, requests: Requests): Arrivals {
  const { abi, address, call, handles } = mpi;
  const lines = new Map<string, Line>();
  const flag = pinned(mpi, new Int32Array(1));
  const count = pinned(mpi, new Int32Array(1));
  const status = pinned(mpi, new Uint8Array(abi.statusBytes));
  const message = pinned(mpi, new Uint8Array(abi.handleBytes));

  const take = async (into: MessageData, bytes: number): Promise<Arrival> => {
    const memory = into.byteLength === bytes ? into : new Uint8Array(bytes);
    const failure = await requests.start(memory, (request) => call.Imrecv(address(memory), bytes, handles.BYTE, message.at, request));
    return failure === undefined ? { bytes } : { failure };
  };
  /** The next message of a line, if it is there. False when there is nothing more to look for now. */
  const next = (key: string, { comm, from, tag, waiting }: Line): boolean => {
    flag.memory[0] = 0;
    let failure: Failure;
    const code = call.Improbe(from, tag, comm, flag.at, message.at, status.at);
    if (code !== 0) failure = explain(mpi, code);
    else if (flag.memory[0] === 0) return false;
    const { into, settle } = waiting.shift()!;
    if (waiting.length === 0) lines.delete(key);
    if (failure === undefined) {
      call.Get_count(status.at, handles.BYTE, count.at);
      settle(take(into, count.memory[0]!));
    } else settle({ failure });
    poller.release();
    return waiting.length > 0;
  };
  poller.onLook(() => {
    for (const [key, line] of lines) while (next(key, line));
  });

  return {
    receive(comm, from, tag, into) {
      const key = `${comm} ${from} ${tag}`;
      const line: Line = lines.get(key) ?? { comm, from, tag, waiting: [] };
      lines.set(key, line);
      poller.hold();
      return new Promise((settle) => {
        line.waiting.push({ into, settle });
        if (line.waiting.length === 1) poller.glance(() => void next(key, line));
      });
    },
  };
}
