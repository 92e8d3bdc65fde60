/** What a message is made of: its bytes are sent as they are, so both sides share a byte order. Views of shared memory are allowed. */
export type MessageData = Float32Array | Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** What `allReduce` can add up. */
export type ReducibleData = Float32Array | Float64Array;

export type Reduction = "sum" | "max";

/** Something under way. It goes on whether anybody waits or not; a failure is kept for the one who does. */
export interface Transfer {
  /**
   * Resolves when the memory is the caller's again: what was sent may be overwritten, what was received is there.
   *
   * @throws PolyheadError `COMM_TIMEOUT`, `COMM_ABORTED`, `COMM_LOST`, `COMM_LENGTH`, `COMM_CLOSED`.
   */
  wait(): Promise<void>;
}

/** One exchange: something to send, something to receive, or both. */
export interface Exchange {
  readonly send?: { readonly data: MessageData; readonly to: number };
  /** `into` is as long as the message, in bytes. */
  readonly receive?: { readonly into: MessageData; readonly from: number };
  /** Messages of one tag between two ranks arrive in the order in which they were sent; those of different tags pass each other. 0 to 16,383, default 0. */
  readonly tag?: number;
}

/** What went over a communicator, its own collectives and those it was split from left out. */
export interface Traffic {
  /** Bytes of `sendrecv`, messages to oneself included. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Sent by `sendrecv`; bytes and messages count when the exchange has ended. */
  readonly messages: number;
}

/**
 * `size` ranks that send each other bytes: devices of one process, workers, or processes of a cluster. There is no GPU in it.
 *
 * The laws that `communicatorLaws` of `@polyhead/testkit` tests:
 * - Nothing blocks the event loop, and nobody needs to wait for one operation to start the next.
 * - Every rank calls the collectives (`broadcast`, `allReduce`, `barrier`, `split`) of a communicator in the same order.
 * - `allReduce` leaves the same bits on every rank and in every run.
 * - A rank that sends to itself receives what it sent.
 * - An operation that does not end within the communicator's time limit rejects with `COMM_TIMEOUT`, which names the peers
 *   that were waited for, and aborts the job: a peer that is gone is not always reported by the link.
 * - After `abort` of any rank, or the loss of one, every operation on every rank, waiting or later, rejects.
 */
export interface Communicator {
  /** Such as `local`, `worker` or `mpi`, for messages and logs. */
  readonly kind: string;
  /** 0 to `size − 1`. */
  readonly rank: number;
  readonly size: number;
  readonly traffic: Traffic;

  /**
   * Starts an exchange. Until it has ended, the data sent must not change, and what is received is undefined.
   *
   * @throws PolyheadError `COMM_ARGUMENT` for a rank or tag that is not there, `COMM_CLOSED`. Everything else rejects in `wait`:
   *   `COMM_LENGTH` when the message is not as long as `into`.
   */
  sendrecv(exchange: Exchange): Transfer;

  /** Overwrites `data` of every rank with that of rank `root`. @throws PolyheadError as `sendrecv`. */
  broadcast(data: MessageData, root: number): Promise<void>;

  /** Starts to overwrite `data` of every rank with the sum (or the largest) over all ranks, element by element; lengths are equal. */
  allReduce(data: ReducibleData, reduction?: Reduction): Transfer;

  /** Resolves when every rank has called it. */
  barrier(): Promise<void>;

  /**
   * Ranks of one `color` become a communicator of their own, ordered by `key`, then by rank (default: by rank). It has tags
   * and counters of its own, and is aborted with its parent.
   *
   * @throws PolyheadError `COMM_ARGUMENT` for a color or key that is not a whole number ≥ 0.
   */
  split(color: number, key?: number): Promise<Communicator>;

  /** Ends the job on every rank: nobody waits any longer. Where ranks are processes of a launcher, it ends them. */
  abort(reason: string): void;

  /** Waits for every rank, then lets go of what it holds. Later calls throw `COMM_CLOSED`. Closing a split one closes that alone. */
  close(): Promise<void>;
}

/** What every implementation's options hold. */
export interface CommunicatorOptions {
  /** Milliseconds after which a waiting operation counts as stalled and the job is aborted. Default 60,000. */
  readonly timeoutMs?: number;
}
