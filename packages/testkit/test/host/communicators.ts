import { abortedError, type Communicator, communicatorOver, createPairing, type Link, type Pairing, type PolyheadError } from "@polyhead/core";

/** What is wrong with a world: with how it carries messages, or with what a rank is given. */
export interface CommunicatorFault {
  readonly link?: (link: Link) => Link;
  readonly comm?: (comm: Communicator) => Communicator;
}

/** The same communicator, but for some of its members. */
export function changed(comm: Communicator, change: Partial<Communicator>): Communicator {
  const same: Communicator = {
    kind: comm.kind,
    rank: comm.rank,
    size: comm.size,
    get traffic() {
      return comm.traffic;
    },
    sendrecv: (exchange) => comm.sendrecv(exchange),
    broadcast: (data, root) => comm.broadcast(data, root),
    allReduce: (data, reduction) => comm.allReduce(data, reduction),
    barrier: () => comm.barrier(),
    split: (color, key) => comm.split(color, key),
    abort: (reason) => comm.abort(reason),
    close: () => comm.close(),
  };
  return Object.defineProperties<Communicator>(same, Object.getOwnPropertyDescriptors(change));
}

/** Ranks of this process; without a fault they keep the laws. */
export function hostCommunicators(size: number, timeoutMs: number, fault: CommunicatorFault = {}): Communicator[] {
  const pairings = Array.from({ length: size }, () => Array.from({ length: size }, (): Pairing => createPairing()));
  const listeners: ((error: PolyheadError) => void)[] = [];
  return Array.from({ length: size }, (_, rank) => {
    let open = true;
    const never = <T>(): Promise<T> => new Promise(() => undefined);
    const link: Link = {
      kind: "host",
      rank,
      size,
      send: (data, to, channel) => (open ? pairings[rank]![to]!.send(data, channel) : never()),
      receive: (into, from, channel) => (open ? pairings[from]![rank]!.receive(into, channel) : never()),
      abort: (reason) => listeners.forEach((listener, other) => (other === rank ? undefined : listener(abortedError(other, rank, reason)))),
      close: () => void (open = false),
      onEnd: (listener) => void (listeners[rank] = listener),
    };
    const comm = communicatorOver(fault.link?.(link) ?? link, { timeoutMs });
    return fault.comm?.(comm) ?? comm;
  });
}
