import { abortedError, argumentError, type Communicator, type CommunicatorOptions, communicatorOver, createPairing, type Link, type Pairing, type PolyheadError } from "@polyhead/core";

type Listener = (error: PolyheadError) => void;

/**
 * Ranks of one process or page, such as one for each of several GPUDevices: communicator `i` is rank `i`'s. A message is copied
 * once, straight from the sender's memory to the receiver's, when both have started.
 *
 * @throws PolyheadError `COMM_ARGUMENT` for a size that is not a whole number ≥ 1, or a time limit that is none.
 */
export function localCommunicators(size: number, options?: CommunicatorOptions): Communicator[] {
  if (!Number.isSafeInteger(size) || size < 1) throw argumentError(0, `a world of ${size} ranks`, "use a whole number of at least 1");
  const pairings = new Map<number, Pairing>();
  const between = (from: number, to: number): Pairing => {
    const key = from * size + to;
    const pairing = pairings.get(key) ?? createPairing();
    pairings.set(key, pairing);
    return pairing;
  };
  const listeners: Listener[] = [];
  const linkOf = (rank: number): Link => ({
    kind: "local",
    rank,
    size,
    send: (data, to, channel) => between(rank, to).send(data, channel),
    receive: (into, from, channel) => between(from, rank).receive(into, channel),
    abort(reason) {
      for (const [other, listener] of listeners.entries()) if (other !== rank) listener(abortedError(other, rank, reason));
    },
    close: () => undefined,
    onEnd: (listener) => void (listeners[rank] = listener),
  });
  return Array.from({ length: size }, (_, rank) => communicatorOver(linkOf(rank), options));
}
