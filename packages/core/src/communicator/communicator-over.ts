import type { Communicator, CommunicatorOptions, Exchange, MessageData, ReducibleData, Reduction, Traffic, Transfer } from "../contracts/communicator.ts";
import * as collectives from "./collectives.ts";
import { abortedError, argumentError, closedError, lengthError, type Waiting } from "./errors.ts";
import type { Link } from "./link.ts";
import { createOperations, type Operations } from "./operations.ts";
import { createPairing, type Pairing } from "./pairing.ts";
import { ranksOfColor, splitChoice } from "./split-ranks.ts";
import { allEnded, bytesOf, keptTransfer } from "./transfer.ts";
import { checkTimeLimit } from "./watchdog.ts";

export const MAX_TAG = 16_383;

/** What a rank's communicators share: the whole world's, and those split from it. */
interface World {
  readonly link: Link;
  readonly operations: Operations;
  readonly toSelf: Pairing;
  /** Under way; each consists of many operations, with pauses between them. */
  readonly collectives: Set<Promise<void>>;
  closed: boolean;
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

class LinkCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly #world: World;
  /** Ranks of the world, by rank of this communicator. */
  readonly #members: readonly number[];
  /** Sets its messages apart from those of the world's other communicators; the same on each of its ranks. */
  readonly #context: string;
  #collectives = 0;
  #splits = 0;
  #closed = false;
  #closing: Promise<void> | undefined;
  #traffic: Traffic = { sentBytes: 0, receivedBytes: 0, messages: 0 };

  constructor(world: World, members: readonly number[], context: string) {
    this.#world = world;
    this.#members = members;
    this.#context = context;
    this.rank = members.indexOf(world.link.rank);
    this.size = members.length;
  }

  get kind(): string {
    return this.#world.link.kind;
  }

  get traffic(): Traffic {
    return this.#traffic;
  }

  sendrecv({ send, receive, tag = 0 }: Exchange): Transfer {
    this.#mustBeOpen("sendrecv()");
    if (send === undefined && receive === undefined) throw argumentError(this.rank, "an exchange of nothing", "give `send`, `receive` or both");
    if (!isCount(tag) || tag > MAX_TAG) throw argumentError(this.rank, `tag ${tag}`, `use a whole number from 0 to ${MAX_TAG}`);
    if (send !== undefined) this.#mustBeRank("send to", send.to);
    if (receive !== undefined) this.#mustBeRank("receive from", receive.from);
    const channel = `${this.#context}:${tag}`;
    const work: Promise<void>[] = [];
    if (send !== undefined) work.push(this.#sendCounted(send.data, send.to, channel, tag));
    if (receive !== undefined) work.push(this.#receiveCounted(receive.into, receive.from, channel, tag));
    return keptTransfer(allEnded(work));
  }

  async broadcast(data: MessageData, root: number): Promise<void> {
    this.#mustBeOpen("broadcast()");
    this.#mustBeRank("broadcast from", root);
    await this.#together("broadcast", (round) => collectives.broadcast(round, data, root));
  }

  allReduce(data: ReducibleData, reduction: Reduction = "sum"): Transfer {
    this.#mustBeOpen("allReduce()");
    return keptTransfer(this.#together("allReduce", (round) => collectives.allReduce(round, data, reduction)));
  }

  async barrier(): Promise<void> {
    this.#mustBeOpen("barrier()");
    await this.#together("barrier", collectives.barrier);
  }

  async split(color: number, key = this.rank): Promise<Communicator> {
    this.#mustBeOpen("split()");
    for (const [name, value] of Object.entries({ color, key })) {
      if (!isCount(value)) throw argumentError(this.rank, `split with ${name} ${value}`, "use a whole number that is not negative");
    }
    const context = `${this.#context}.${this.#splits++}`;
    const choices = splitChoice(this.size, this.rank, color, key);
    await this.#together("split", (round) => collectives.allReduce(round, choices, "sum"));
    return new LinkCommunicator(this.#world, ranksOfColor(choices, color).map((rank) => this.#members[rank]!), context);
  }

  abort(reason: string): void {
    this.#mustBeOpen("abort()");
    const { link, operations } = this.#world;
    if (operations.ended !== undefined) return;
    operations.end(abortedError(link.rank, link.rank, reason));
    link.abort(reason);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { link, operations } = this.#world;
    const isWorld = this.size === link.size && !this.#context.includes(".");
    this.#closed = true;
    if (!isWorld) {
      if (!this.#world.closed) await this.#together("close", collectives.barrier);
      return;
    }
    this.#world.closed = true;
    try {
      // What is under way needs the link; other ranks need it until they are here.
      while (this.#world.collectives.size > 0) await Promise.allSettled(this.#world.collectives);
      await operations.idle();
      await this.#together("close", collectives.barrier);
    } finally {
      link.close();
    }
  }

  #mustBeOpen(what: string): void {
    if (this.#closed || this.#world.closed) throw closedError(this.rank, what);
  }

  #mustBeRank(what: string, rank: number): void {
    if (isCount(rank) && rank < this.size) return;
    throw argumentError(this.rank, `${what} rank ${rank} of ${this.size}`, `ranks are whole numbers from 0 to ${this.size - 1}`);
  }

  /** Runs a collective in a channel of its own. */
  async #together(operation: string, work: (round: collectives.Round) => Promise<void>): Promise<void> {
    const channel = `${this.#context}!${this.#collectives++}`;
    const { ended } = this.#world.operations;
    if (ended !== undefined) throw ended;
    const { collectives: underWay } = this.#world;
    const done = work({
      rank: this.rank,
      size: this.size,
      send: (data, to) => this.#send({ operation, peers: [this.#members[to]!], bytes: data.byteLength }, data, channel),
      receive: (into, from) => this.#receive({ operation, peers: [this.#members[from]!], bytes: into.byteLength }, into, channel),
    });
    underWay.add(done);
    try {
      await done;
    } finally {
      underWay.delete(done);
    }
  }

  async #sendCounted(data: MessageData, to: number, channel: string, tag: number): Promise<void> {
    await this.#send({ operation: "send", peers: [this.#members[to]!], tag, bytes: data.byteLength }, data, channel);
    const { sentBytes, messages, ...rest } = this.#traffic;
    this.#traffic = { ...rest, sentBytes: sentBytes + data.byteLength, messages: messages + 1 };
  }

  async #receiveCounted(into: MessageData, from: number, channel: string, tag: number): Promise<void> {
    await this.#receive({ operation: "receive", peers: [this.#members[from]!], tag, bytes: into.byteLength }, into, channel);
    this.#traffic = { ...this.#traffic, receivedBytes: this.#traffic.receivedBytes + into.byteLength };
  }

  #send(waiting: Waiting, data: MessageData, channel: string): Promise<void> {
    const { link, operations, toSelf } = this.#world;
    const [to] = waiting.peers;
    const bytes = bytesOf(data);
    return operations.run(waiting, () => (to === link.rank ? toSelf.send(bytes, channel) : link.send(bytes, to!, channel)));
  }

  async #receive(waiting: Waiting, into: MessageData, channel: string): Promise<void> {
    const { link, operations, toSelf } = this.#world;
    const [from] = waiting.peers;
    const bytes = bytesOf(into);
    const length = await operations.run(waiting, () => (from === link.rank ? toSelf.receive(bytes, channel) : link.receive(bytes, from!, channel)));
    if (length !== bytes.length) throw lengthError(link.rank, waiting, length);
  }
}

/**
 * A communicator over a transport that can send, receive, abort and close. The collectives, self-sends, splits, time limits
 * and errors are the same for all of them.
 *
 * @throws PolyheadError `COMM_ARGUMENT` for a time limit that is none.
 */
export function communicatorOver(link: Link, { timeoutMs }: CommunicatorOptions = {}): Communicator {
  checkTimeLimit(link.rank, timeoutMs);
  const operations = createOperations({
    rank: link.rank,
    timeoutMs,
    onStall: (error) => link.abort(error.message.split("\n")[0]!),
  });
  link.onEnd((error) => operations.end(error));
  return new LinkCommunicator({ link, operations, toSelf: createPairing(), collectives: new Set(), closed: false }, Array.from({ length: link.size }, (_, rank) => rank), "0");
}
