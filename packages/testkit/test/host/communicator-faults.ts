import { bytesOf, type Communicator, type Exchange, isPolyheadError, keptTransfer, type Link, type MessageData, PolyheadError, type ReducibleData, type Transfer } from "@polyhead/core";
import { changed, type CommunicatorFault } from "./communicators.ts";

interface PlantedFault extends CommunicatorFault {
  readonly what: string;
  /** The law that finds it. */
  readonly breaks: RegExp;
}

const onLink = (what: string, breaks: RegExp, link: (link: Link) => Partial<Link>): PlantedFault => ({ what, breaks, link: (given) => ({ ...given, ...link(given) }) });
const onComm = (what: string, breaks: RegExp, change: (comm: Communicator) => Partial<Communicator>): PlantedFault => ({ what, breaks, comm: (comm) => changed(comm, change(comm)) });

/** Every channel is renamed. */
const renaming = (what: string, breaks: RegExp, rename: (channel: string) => string): PlantedFault =>
  onLink(what, breaks, (link) => ({
    send: (data, to, channel) => link.send(data, to, rename(channel)),
    receive: (into, from, channel) => link.receive(into, from, rename(channel)),
  }));

/** What is sent is made of what should be. */
const sending = (what: string, breaks: RegExp, make: (data: MessageData, exchange: Exchange) => MessageData): PlantedFault =>
  onComm(what, breaks, (comm) => ({
    sendrecv: (exchange) => comm.sendrecv(exchange.send === undefined ? exchange : { ...exchange, send: { ...exchange.send, data: make(exchange.send.data, exchange) } }),
  }));

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

/** Everybody sends everybody everything; what arrives is added as it comes. */
function addedOnArrival(comm: Communicator, data: ReducibleData): Transfer {
  const own = data.slice();
  const work = Array.from({ length: comm.size }, async (_, peer) => {
    if (peer === comm.rank) return;
    const into = data.slice();
    await comm.sendrecv({ send: { data: own, to: peer }, receive: { into, from: peer }, tag: 999 }).wait();
    for (const [i, value] of into.entries()) data[i]! += value;
  });
  return keptTransfer(Promise.all(work));
}

function delayed(link: Link): Partial<Link> {
  let count = 0;
  return {
    async send(data, to, channel) {
      if (count++ % 2 === 0) await sleep(2);
      await link.send(data, to, channel);
    },
  };
}

function limited(comm: Communicator): Partial<Communicator> {
  let live = 0;
  return {
    sendrecv(exchange) {
      if (++live > 128) throw new Error("no request left");
      const transfer = comm.sendrecv(exchange);
      return keptTransfer(transfer.wait().finally(() => live--));
    },
  };
}

function withoutNames(transfer: Transfer): Transfer {
  return keptTransfer(transfer.wait().catch((error: unknown) => {
    throw isPolyheadError(error, "COMM_TIMEOUT") ? new PolyheadError("COMM_TIMEOUT", "it took too long", "wait longer") : error;
  }));
}

function everOpen(comm: Communicator): Partial<Communicator> {
  let closed = false;
  return {
    async close() {
      closed = true;
      await comm.close();
    },
    sendrecv: (exchange) => (closed ? keptTransfer(Promise.resolve()) : comm.sendrecv(exchange)),
  };
}

/** Calls every message of a rank by the sum of all, as if it came from anybody. */
const ofAnybody = (link: Link): Partial<Link> => ({
  receive: (into, from, channel) => link.receive(into, channel.includes(":") ? (link.rank + 1) % link.size : from, channel),
});

export const FAULTS: readonly PlantedFault[] = [
  sending("cuts messages to multiples of four bytes", /any length/, (data) => bytesOf(data).subarray(0, data.byteLength - (data.byteLength % 4))),
  sending("forgets where a view begins", /every kind of data/, (data) => new Uint8Array(data.buffer, 0, data.byteLength)),
  sending("reads shared memory as zeros", /shared memory/, (data) => (data.buffer instanceof ArrayBuffer ? data : new Uint8Array(data.byteLength))),
  onLink("lets messages of one tag overtake each other", /in the order in which they were sent/, delayed),
  renaming("ignores tags", /different tags pass/, (channel) => channel.replace(/:.*/, ":0")),
  onComm("has 128 requests and no more", /hundreds/, limited),
  onLink("takes a message from one rank for another's", /different ranks are told apart/, ofAnybody),
  sending("sends itself nothing but zeros", /sends to itself/, (data, { send, receive }) => (send?.to === receive?.from ? new Uint8Array(data.byteLength) : data)),
  onComm("sends long messages before it receives", /16 MiB/, (comm) => ({
    sendrecv({ send, receive, tag = 0 }) {
      if (send === undefined || receive === undefined || send.data.byteLength < 2 ** 24) return comm.sendrecv({ ...(send && { send }), ...(receive && { receive }), tag });
      return keptTransfer(comm.sendrecv({ send, tag }).wait().then(() => comm.sendrecv({ receive, tag }).wait()));
    },
  })),
  onLink("says that a message is sent before it is", /may be overwritten/, (link) => ({ send: (data, to, channel) => { void link.send(data, to, channel); return Promise.resolve(); } })),
  onComm("blocks the event loop while it waits", /event loop lives/, (comm) => ({
    sendrecv(exchange) {
      if (exchange.receive !== undefined) spin(300);
      return comm.sendrecv(exchange);
    },
  })),
  onComm("counts its collectives too", /traffic counts/, (comm) => {
    let extra = 0;
    return {
      get traffic() {
        return { ...comm.traffic, sentBytes: comm.traffic.sentBytes + extra };
      },
      allReduce(data, reduction) {
        extra += data.byteLength;
        return comm.allReduce(data, reduction);
      },
    };
  }),
  onComm("waits in a barrier for the next rank alone", /nobody leaves a barrier/, (comm) => ({
    barrier() {
      void comm.sendrecv({ send: { data: new Uint8Array(1), to: (comm.rank + 1) % comm.size }, tag: 99 });
      return comm.sendrecv({ receive: { into: new Uint8Array(1), from: (comm.rank + comm.size - 1) % comm.size }, tag: 99 }).wait();
    },
  })),
  onComm("forgets the last element of odd lengths", /adds up/, (comm) => ({ allReduce: (data, reduction) => comm.allReduce(data.subarray(0, data.length - (data.length % 2)), reduction) })),
  onComm("begins its largest at the smallest finite number", /finds the largest/, (comm) => ({
    allReduce(data, reduction) {
      if (reduction === "max") for (const [i, value] of data.entries()) data[i] = Math.max(value, -3e38);
      return comm.allReduce(data, reduction);
    },
  })),
  onComm("adds in the order of arrival", /same bits/, (comm) => ({ allReduce: (data) => addedOnArrival(comm, data) })),
  renaming("has one channel for all its collectives", /several reductions/, (channel) => channel.replace(/!.*/, "!")),
  onComm("takes rank 0 for every root", /broadcast hands/, (comm) => ({ broadcast: (data) => comm.broadcast(data, 0) })),
  renaming("has two channels for all its collectives", /follow each other closely/, (channel) => channel.replace(/!(\d+)/, (_, i: string) => `!${Number(i) % 2}`)),
  onComm("ignores the key of a split", /ordered by key/, (comm) => ({ split: (color) => comm.split(color) })),
  onComm("turns the order around without a key", /without a key/, (comm) => ({ split: (color, key) => comm.split(color, key ?? comm.size - comm.rank) })),
  onComm("splits the world when a part is to be split", /split again/, (comm) => ({ split: async (...args) => changed(await comm.split(...args), { split: (color, key) => comm.split(color, key) }) })),
  renaming("mixes the messages of a part with its parent's", /tags and counters of its own/, (channel) => channel.replace(/^[^:!]*:/, "0:")),
  renaming("mixes the collectives of a part with its parent's", /its parent are used/, (channel) => channel.replace(/^0\.\d+!(\d+)$/, (_, i: string) => `0!${Number(i) + 1}`)),
  onComm("closes the parent with the part", /closing a part/, (comm) => ({
    async split(...args) {
      const part = await comm.split(...args);
      return changed(part, { close: async () => { await part.close(); await comm.close(); } });
    },
  })),
  onComm("closes without waiting", /close waits/, (comm) => ({ split: async (...args) => changed(await comm.split(...args), { close: () => Promise.resolve() }) })),
  onLink("takes a message of another length for one that fits", /another length/, (link) => ({
    async receive(into, from, channel) {
      await link.receive(into, from, channel);
      return into.length;
    },
  })),
  onComm("takes any tag", /is refused/, (comm) => ({ sendrecv: (exchange) => comm.sendrecv({ ...exchange, tag: Math.abs(exchange.tag ?? 0) % 16_384 || 0 }) })),
  {
    what: "limits the time of the whole job",
    breaks: /slow ranks/,
    comm: (comm) => changed(comm, { barrier: async () => { await comm.barrier(); setTimeout(() => comm.abort("time is up"), 600); } }),
  },
  onComm("still answers when it is closed", /after close nothing/, everOpen),
  onLink("keeps an abort to itself", /after abort/, () => ({ abort: () => undefined })),
  onComm("does not say whom it waited for", /stalls is named/, (comm) => ({ sendrecv: (exchange) => withoutNames(comm.sendrecv(exchange)) })),
];
