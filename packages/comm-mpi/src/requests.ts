import type { Address, Mpi } from "./library.ts";
import { pinned, type Pinned } from "./pinned.ts";
import type { Poller } from "./poller.ts";

/** What MPI says of a request that has ended; undefined for one that has gone well. */
export type Failure = string | undefined;

export interface Requests {
  /** Starts what `post` posts. `keep` is the memory that MPI reads or writes: it stays referenced until MPI is done. */
  start(keep: unknown, post: (request: Address) => number): Promise<Failure>;
  /** As `start`, for a receive that may never come: it neither keeps the process alive nor makes it look for messages. */
  listen(keep: unknown, post: (request: Address) => number): { readonly ended: Promise<Failure>; cancel(): void };
}

interface Live {
  /** Where MPI keeps the request's handle. */
  readonly slot: Pinned<Uint8Array>;
  readonly keep: unknown;
  readonly passive: boolean;
  readonly settle: (failure: Failure) => void;
}

/** What MPI says of an error code. */
export function explain({ call, address }: Mpi, code: number): string {
  const text = new Uint8Array(512);
  const length = new Int32Array(1);
  call.Error_string(code, address(text), address(length));
  return Buffer.from(text.subarray(0, length[0])).toString("latin1").replaceAll(/\s+/g, " ").trim();
}

/** Requests under way. The poller asks for them, so the event loop goes on with everything else meanwhile. */
export function createRequests(mpi: Mpi, poller: Poller): Requests {
  const { abi, call } = mpi;
  const free: Pinned<Uint8Array>[] = [];
  const live = new Set<Live>();
  const flag = pinned(mpi, new Int32Array(1));
  const status = pinned(mpi, new Uint8Array(abi.statusBytes));

  const test = (request: Live): void => {
    flag.memory[0] = 0;
    const code = call.Test(request.slot.at, flag.at, status.at);
    if (code === 0 && flag.memory[0] === 0) return;
    live.delete(request);
    free.push(request.slot);
    if (!request.passive) poller.release();
    request.settle(code === 0 ? undefined : explain(mpi, code));
  };
  poller.onLook(() => {
    for (const request of live) test(request);
  });

  const post = (keep: unknown, passive: boolean, begin: (request: Address) => number): { readonly ended: Promise<Failure>; readonly slot: Pinned<Uint8Array> } => {
    const slot = free.pop() ?? pinned(mpi, new Uint8Array(abi.handleBytes));
    const code = begin(slot.at);
    if (code !== 0) {
      free.push(slot);
      return { ended: Promise.resolve(explain(mpi, code)), slot };
    }
    const ended = new Promise<Failure>((settle) => {
      const request: Live = { slot, keep, passive, settle };
      live.add(request);
      if (passive) return;
      poller.hold();
      poller.glance(() => test(request));
    });
    return { ended, slot };
  };

  return {
    start: (keep, begin) => post(keep, false, begin).ended,
    listen(keep, begin) {
      const { ended, slot } = post(keep, true, begin);
      const cancel = (): void => {
        const request = [...live].find((one) => one.passive && one.slot === slot);
        if (request === undefined) return;
        live.delete(request);
        call.Cancel(slot.at);
        call.Wait(slot.at, status.at);
      };
      return { ended, cancel };
    },
  };
}
