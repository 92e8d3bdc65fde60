import { argumentError, type Communicator, type CommunicatorOptions, communicatorOver, PolyheadError } from "@polyhead/core";
import { createLife } from "./life.ts";
import { linkOf } from "./worker-link.ts";

/**
 * How long messages get from one worker to another. `transfer`: in buffers that change hands. `share`: in memory that both see;
 * straight into what is received, where that is a view of a SharedArrayBuffer. In a page it needs cross-origin isolation.
 */
export type Memory = "transfer" | "share";

/** A rank's place in a world. It may be posted to a worker, with `ports` and `control` in the transfer list. */
export interface Seat {
  readonly rank: number;
  readonly size: number;
  readonly memory: Memory;
  /** To every other rank, by rank; null at its own. */
  readonly ports: readonly (MessagePort | null)[];
  /** From whoever made the seats, who may hear that a rank is lost. */
  readonly control: MessagePort;
}

export interface SeatOptions {
  /** Default `transfer`. */
  readonly memory?: Memory;
}

export interface Seats {
  readonly seats: readonly Seat[];
  /** Tells every rank but `rank` that this one is lost. */
  readonly lost: (rank: number, reason: string) => void;
}

/**
 * Seats for `size` ranks, with a port between any two, to be handed out by other ways than `workerWorld`: such as one for
 * the page itself.
 *
 * @throws PolyheadError `COMM_ARGUMENT` for a size that is none, or for `share` where no SharedArrayBuffer is to be had.
 */
export function createSeats(size: number, { memory = "transfer" }: SeatOptions = {}): Seats {
  if (!Number.isSafeInteger(size) || size < 1) throw argumentError(0, `a world of ${size} ranks`, "use a whole number of at least 1");
  mustHave(memory);
  const ports = Array.from({ length: size }, () => Array.from({ length: size }, (): MessagePort | null => null));
  for (let a = 0; a < size; a++) {
    for (let b = 0; b < a; b++) {
      const { port1, port2 } = new MessageChannel();
      ports[a]![b] = port1;
      ports[b]![a] = port2;
    }
  }
  const controls = Array.from({ length: size }, () => new MessageChannel());
  return {
    seats: ports.map((own, rank) => ({ rank, size, memory, ports: own, control: controls[rank]!.port2 })),
    lost(rank, reason) {
      for (const [other, { port1 }] of controls.entries()) if (other !== rank) port1.postMessage({ type: "lost", rank, reason });
    },
  };
}

/** Whether the memory can be shared is the page's headers' to say. */
function mustHave(memory: Memory): void {
  if (memory === "transfer") return;
  // Somebody may call without types.
  const given: string = memory;
  if (given !== "share") throw argumentError(0, `memory '${given}'`, "use 'transfer' or 'share'");
  if (typeof SharedArrayBuffer !== "undefined" && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false) return;
  throw new PolyheadError("COMM_ARGUMENT", "memory 'share' in a page that is not cross-origin isolated: it has no SharedArrayBuffer for workers",
    "serve the page with 'Cross-Origin-Opener-Policy: same-origin' and 'Cross-Origin-Embedder-Policy: require-corp', or use memory 'transfer'");
}

/**
 * The communicator of a seat, in whichever thread it is called; a seat is taken once.
 *
 * @throws PolyheadError `COMM_ARGUMENT` as `createSeats`, or for a time limit that is none.
 */
export async function takeSeat(seat: Seat, options?: CommunicatorOptions): Promise<Communicator> {
  mustHave(seat.memory);
  return communicatorOver(linkOf(seat, await createLife()), options);
}
