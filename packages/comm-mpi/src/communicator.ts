import {
  abortedError, allEnded, argumentError, closedError, describeWaiting, type Communicator, type Exchange, keptTransfer, lengthError, MAX_TAG,
  type MessageData, type Operations, ranksOfColor, type ReducibleData, type Reduction, splitChoice, type Traffic, type Transfer, type Waiting,
} from "@polyhead/core";
import type { Arrivals } from "./arrivals.ts";
import { createCollectives, type Collectives, type CollectiveCall } from "./collectives.ts";
import type { Ending } from "./ending.ts";
import { freeGroup, part, type Group } from "./group.ts";
import type { Mpi } from "./library.ts";
import { fromOrdered, toOrdered } from "./ordered.ts";
import { explain, type Failure, type Requests } from "./requests.ts";

/** What the communicators of a process share. */
export interface World {
  readonly mpi: Mpi;
  readonly requests: Requests;
  readonly arrivals: Arrivals;
  readonly operations: Operations;
  readonly ending: Ending;
  readonly rank: number;
  /** Every rank has said that it is done. */
  finish(): void;
  closed: boolean;
}

/** What an `int` of MPI counts to. */
const MAX_COUNT = 2 ** 31 - 1;

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** MPI counts bytes, and numbers to reduce, with 31 bits. @throws PolyheadError `COMM_ARGUMENT`. */
export function checkCount(rank: number, what: string, count: number): void {
  if (count > MAX_COUNT) throw argumentError(rank, `${what} of ${count}`, `MPI counts to ${MAX_COUNT}: send it in parts`);
}

export class MpiCommunicator implements Communicator {
  readonly kind = "mpi";
  readonly rank: number;
  readonly size: number;
  readonly #world: World;
  readonly #group: Group;
  readonly #isWorld: boolean;
  readonly #collectives: Collectives;
  #closed = false;
  #closing: Promise<void> | undefined;
  #traffic: Traffic = { sentBytes: 0, receivedBytes: 0, messages: 0 };

  constructor(world: World, group: Group, isWorld: boolean) {
    this.#world = world;
    this.#group = group;
    this.#isWorld = isWorld;
    this.rank = group.rank;
    this.size = group.members.length;
    const { mpi, requests, operations, rank } = world;
    this.#collectives = createCollectives({ mpi, requests, operations, group, worldRank: rank, mustWork: (failure, waiting) => this.#mustWork(failure, waiting) });
  }

  get traffic(): Traffic {
    return this.#traffic;
  }

  sendrecv({ send, receive, tag = 0 }: Exchange): Transfer {
    this.#mustBeOpen("sendrecv()");
    if (send === undefined && receive === undefined) throw argumentError(this.rank, "an exchange of nothing", "give `send`, `receive` or both");
    if (!isCount(tag) || tag > MAX_TAG) throw argumentError(this.rank, `tag ${tag}`, `tags are whole numbers from 0 to ${MAX_TAG}`);
    for (const [what, data, peer] of [["a send to", send?.data, send?.to], ["a receive from", receive?.into, receive?.from]] as const) {
      if (data === undefined) continue;
      this.#mustBeRank(what, peer!);
      checkCount(this.rank, "a message with a number of bytes", data.byteLength);
    }
    const work: Promise<void>[] = [];
    // First what another rank may wait for.
    if (send !== undefined) work.push(this.#send(send.data, send.to, tag));
    if (receive !== undefined) work.push(this.#receive(receive.into, receive.from, tag));
    return keptTransfer(allEnded(work));
  }

  async broadcast(data: MessageData, root: number): Promise<void> {
    this.#mustBeOpen("broadcast()");
    this.#mustBeRank("a broadcast from", root);
    checkCount(this.rank, "a broadcast with a number of bytes", data.byteLength);
    const { address, call, handles } = this.#world.mpi;
    await this.#collectives.run({ what: "broadcast", root, bytes: data.byteLength }, data, (request) =>
      call.Ibcast(address(data), data.byteLength, handles.BYTE, root, this.#group.data, request));
  }

  allReduce(data: ReducibleData, reduction: Reduction = "sum"): Transfer {
    this.#mustBeOpen("allReduce()");
    checkCount(this.rank, "an allReduce with a number of elements", data.length);
    return keptTransfer(this.#allReduce(data, reduction));
  }

  async barrier(): Promise<void> {
    this.#mustBeOpen("barrier()");
    await this.#together("barrier");
  }

  async split(color: number, key: number = this.rank): Promise<Communicator> {
    this.#mustBeOpen("split()");
    for (const [name, value] of Object.entries({ color, key })) {
      if (!isCount(value) || value > MAX_COUNT) throw argumentError(this.rank, `split with ${name} ${value}`, `use a whole number from 0 to ${MAX_COUNT}`);
    }
    const { mpi, rank } = this.#world;
    const { address, call, handles } = mpi;
    const choices = splitChoice(this.size, this.rank, color, key);
    await this.#collectives.run({ what: "split", root: 0, bytes: choices.byteLength }, choices, (request) =>
      call.Iallreduce(mpi.abi.inPlace, address(choices), choices.length, handles.DOUBLE, handles.SUM, this.#group.data, request));
    const members = ranksOfColor(choices, color).map((one) => this.#group.members[one]!);
    // Blocks, but every rank is on its way here by now.
    const group = part(mpi, this.#group, color, key, members, members.indexOf(rank), (code) => this.#mustReturn(code));
    return new MpiCommunicator(this.#world, group, false);
  }

  abort(reason: string): void {
    this.#mustBeOpen("abort()");
    const { ending, rank } = this.#world;
    ending.giveUp(abortedError(rank, rank, reason), reason);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#closed = true;
    if (!this.#isWorld) {
      if (this.#world.closed) return;
      await this.#together("close");
      freeGroup(this.#world.mpi, this.#group);
      return;
    }
    this.#world.closed = true;
    await this.#world.operations.idle();
    await this.#together("close");
    this.#world.finish();
  }

  #mustBeOpen(what: string): void {
    if (this.#closed || this.#world.closed) throw closedError(this.rank, what);
  }

  #mustBeRank(what: string, rank: number): void {
    if (isCount(rank) && rank < this.size) return;
    throw argumentError(this.rank, `${what} rank ${rank} of ${this.size}`, `ranks are whole numbers from 0 to ${this.size - 1}`);
  }

  /** For the few calls of MPI that end at once. */
  #mustReturn(code: number): void {
    if (code !== 0) this.#mustWork(explain(this.#world.mpi, code), { operation: "split", peers: [], bytes: 0 });
  }

  #mustWork(failure: Failure, waiting: Waiting): void {
    if (failure === undefined) return;
    const { ending, operations } = this.#world;
    ending.linkFailed(`${failure}, during a ${describeWaiting(waiting)}`);
    throw operations.ended!;
  }

  async #together(what: CollectiveCall): Promise<void> {
    await this.#collectives.run({ what, root: 0, bytes: 0 }, undefined);
  }

  async #allReduce(data: ReducibleData, reduction: Reduction): Promise<void> {
    const { mpi } = this.#world;
    const { abi, address, call, handles } = mpi;
    const width = data instanceof Float32Array ? "f32" : "f64";
    const [float, whole] = width === "f32" ? ([handles.FLOAT, handles.INT32_T] as const) : ([handles.DOUBLE, handles.INT64_T] as const);
    const [type, op] = reduction === "sum" ? ([float, handles.SUM] as const) : ([whole, handles.MAX] as const);
    await this.#collectives.run({ what: `allReduce ${reduction} ${width}`, root: 0, bytes: data.byteLength }, data, (request) => {
      if (reduction === "max") toOrdered(data);
      return call.Iallreduce(abi.inPlace, address(data), data.length, type, op, this.#group.data, request);
    });
    if (reduction === "max") fromOrdered(data);
  }

  #send(data: MessageData, to: number, tag: number): Promise<void> {
    const { mpi, requests, operations } = this.#world;
    const waiting: Waiting = { operation: "send", peers: [this.#group.members[to]!], tag, bytes: data.byteLength };
    return operations.run(waiting, async () => {
      const failure = await requests.start(data, (request) =>
        mpi.call.Isend(mpi.address(data), data.byteLength, mpi.handles.BYTE, to, tag, this.#group.data, request));
      this.#mustWork(failure, waiting);
      const { sentBytes, messages, ...rest } = this.#traffic;
      this.#traffic = { ...rest, sentBytes: sentBytes + data.byteLength, messages: messages + 1 };
    });
  }

  #receive(into: MessageData, from: number, tag: number): Promise<void> {
    const { arrivals, operations } = this.#world;
    const waiting: Waiting = { operation: "receive", peers: [this.#group.members[from]!], tag, bytes: into.byteLength };
    return operations.run(waiting, async () => {
      const arrival = await arrivals.receive(this.#group.data, from, tag, into);
      if ("failure" in arrival) {
        this.#mustWork(arrival.failure, waiting);
        return;
      }
      if (arrival.bytes !== into.byteLength) throw lengthError(this.#world.rank, waiting, arrival.bytes);
      this.#traffic = { ...this.#traffic, receivedBytes: this.#traffic.receivedBytes + arrival.bytes };
    });
  }
}
