import { type PolyheadError } from "../errors.ts";

/**
 * What a transport supplies; `communicatorOver` makes a communicator of it. Ranks are those of the world, never this rank
 * itself. Whatever is under way when the job ends may stay pending: nobody waits for it any longer.
 */
export interface Link {
  /** Such as `local` or `worker`. */
  readonly kind: string;
  readonly rank: number;
  readonly size: number;
  /** Starts to send. Messages of one channel arrive in order; channels pass each other. Resolves when `data` may be overwritten. */
  send(data: Uint8Array, to: number, channel: string): Promise<void>;
  /** Starts to receive. Resolves with the length of the message that arrived; one of another length than `into` is dropped. */
  receive(into: Uint8Array, from: number, channel: string): Promise<number>;
  /** Has `onEnd` of every other rank called. Called at most once, never after `close`. */
  abort(reason: string): void;
  /** Lets go. Every rank has said by then that it needs nothing more, unless the job has ended. */
  close(): void;
  /** Takes the one listener for the end of the job: another rank has aborted it (`COMM_ABORTED`) or is gone (`COMM_LOST`). */
  onEnd(listener: (error: PolyheadError) => void): void;
}
