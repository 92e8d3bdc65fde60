import type { Communicator, MessageData, Transfer } from "@polyhead/core";
import { allToAll, type CommunicatorLaw, everyRank, kept, law, mustBe, mustBeSame, next, otherRanks, pattern, previous, sleep } from "./communicator-laws-common.ts";

const LENGTHS = [0, 1, 3, 7, 64, 1001, 4097, 65_537, 1_048_579];
const MIB = 1_048_576;

async function waitAll(transfers: readonly Transfer[]): Promise<void> {
  await Promise.all(transfers.map((transfer) => transfer.wait()));
}

/** Around the ring: to the next rank, from the one before. */
const pass = (comm: Communicator, data: MessageData, into: MessageData, tag = 0): Transfer =>
  comm.sendrecv({ send: { data, to: next(comm) }, receive: { into, from: previous(comm) }, tag });

async function anyLength(comm: Communicator): Promise<void> {
  for (const length of LENGTHS) {
    // A margin on both sides, which is nobody's to write.
    const into = new Uint8Array(length + 2).fill(170);
    await pass(comm, pattern(comm.rank, length), into.subarray(1, length + 1)).wait();
    mustBeSame(comm, into.subarray(1, length + 1), pattern(previous(comm), length), `${length} bytes`);
    mustBe(comm, into[0] === 170 && into.at(-1) === 170, true, `the margins of ${length} bytes are left alone`);
  }
}

async function anyKind(comm: Communicator): Promise<void> {
  const kinds = [Float32Array, Float64Array, Int32Array, Uint32Array, Uint16Array, Uint8Array] as const;
  for (const Kind of kinds) {
    // Random bits: NaNs with a payload, −0 and denormals among them.
    const make = (rank: number): MessageData => new Kind(pattern(rank, 48 * 8).buffer as ArrayBuffer, 8, 37);
    const into = new Kind(40);
    await pass(comm, make(comm.rank), into.subarray(2, 39)).wait();
    mustBeSame(comm, into.subarray(2, 39), make(previous(comm)), Kind.name);
    mustBe(comm, [into[0], into[1], into[39]].every((value) => value === 0), true, `${Kind.name}: what lies around the view is left alone`);
  }
}

async function sharedMemory(comm: Communicator): Promise<void> {
  if (typeof SharedArrayBuffer === "undefined") return;
  for (const length of [5, 100_001]) {
    const [data, into] = [new Uint8Array(new SharedArrayBuffer(length + 3), 3), new Uint8Array(new SharedArrayBuffer(length + 1), 1)];
    data.set(pattern(comm.rank, length));
    await pass(comm, data, into).wait();
    mustBeSame(comm, into, pattern(previous(comm), length), `${length} bytes of shared memory`);
  }
}

async function inOrder(comm: Communicator): Promise<void> {
  const count = 200;
  const sends = Array.from({ length: count }, (_, i) => comm.sendrecv({ send: { data: Int32Array.of(i, comm.rank), to: next(comm) }, tag: 3 }));
  const into = Array.from({ length: count }, () => new Int32Array(2));
  // Half of the receives start when messages may be there already.
  const receives = into.slice(0, count / 2).map((each) => comm.sendrecv({ receive: { into: each, from: previous(comm) }, tag: 3 }));
  await sleep(5);
  receives.push(...into.slice(count / 2).map((each) => comm.sendrecv({ receive: { into: each, from: previous(comm) }, tag: 3 })));
  await waitAll([...sends, ...receives]);
  for (const [i, each] of into.entries()) mustBeSame(comm, each, Int32Array.of(i, previous(comm)), `message ${i}`);
}

async function tagsPass(comm: Communicator): Promise<void> {
  for (const length of [16, 300_000]) {
    const tags = [0, 5, 16_383];
    const sends = tags.map((tag) => comm.sendrecv({ send: { data: pattern(tag, length), to: next(comm) }, tag }));
    // The last that was sent is taken first, and waited for before the others are asked for.
    for (const tag of tags.toReversed()) {
      const into = new Uint8Array(length);
      await comm.sendrecv({ receive: { into, from: previous(comm) }, tag }).wait();
      mustBeSame(comm, into, pattern(tag, length), `${length} bytes, tag ${tag}`);
    }
    await waitAll(sends);
  }
}

async function hundreds(comm: Communicator): Promise<void> {
  const count = 300;
  const peer = (i: number): number => (comm.rank + i) % comm.size;
  const from = (i: number): number => (comm.rank - (i % comm.size) + comm.size) % comm.size;
  const into = Array.from({ length: count }, (_, i) => new Uint8Array((i * 37) % 5000));
  // Receives in the opposite order of their tags.
  const receives = into.map((each, i) => ({ each, i })).reverse().map(({ each, i }) => comm.sendrecv({ receive: { into: each, from: from(i) }, tag: i }));
  const sends = into.map((each, i) => comm.sendrecv({ send: { data: pattern(1000 * comm.rank + i, each.length), to: peer(i) }, tag: i }));
  await waitAll([...sends, ...receives]);
  for (const [i, each] of into.entries()) mustBeSame(comm, each, pattern(1000 * from(i) + i, each.length), `message ${i}`);
}

async function everybodyToEverybody(comm: Communicator): Promise<void> {
  const into = everyRank(comm).map(() => new Uint8Array(999));
  await allToAll(comm, (to) => pattern(100 * comm.rank + to, 999), (from) => into[from]!);
  for (const from of everyRank(comm)) mustBeSame(comm, into[from]!, pattern(100 * from + comm.rank, 999), `from rank ${from}`);
}

async function toOneself(comm: Communicator): Promise<void> {
  for (const length of [0, 9, 100_000]) {
    const into = new Uint8Array(length);
    await comm.sendrecv({ send: { data: pattern(1, length), to: comm.rank }, receive: { into, from: comm.rank }, tag: 1 }).wait();
    mustBeSame(comm, into, pattern(1, length), `${length} bytes to oneself, in one exchange`);
    const later = new Uint8Array(length);
    const send = comm.sendrecv({ send: { data: pattern(2, length), to: comm.rank } });
    await comm.sendrecv({ receive: { into: later, from: comm.rank } }).wait();
    await send.wait();
    mustBeSame(comm, later, pattern(2, length), `${length} bytes to oneself, in two`);
  }
}

async function longRing(comm: Communicator): Promise<void> {
  const [data, into] = [new Float64Array(2 * MIB), new Float64Array(2 * MIB)];
  data.fill(comm.rank + 1);
  data[data.length - 1] = -comm.rank;
  await pass(comm, data, into).wait();
  mustBe(comm, into.findIndex((value) => value !== previous(comm) + 1), into.length - 1, "the first element that differs from the others");
  mustBe(comm, into.at(-1), -previous(comm), "the last element");
}

async function memoryIsBack(comm: Communicator): Promise<void> {
  for (const length of [8, MIB]) {
    const data = pattern(comm.rank, length);
    const into = new Uint8Array(length);
    const send = comm.sendrecv({ send: { data, to: next(comm) }, tag: 2 });
    const overwritten = kept(send.wait().then(() => void data.fill(0)));
    await sleep(10);
    await comm.sendrecv({ receive: { into, from: previous(comm) }, tag: 2 }).wait();
    mustBeSame(comm, into, pattern(previous(comm), length), `${length} bytes, overwritten after they were sent`);
    await overwritten;
  }
}

async function loopLives(comm: Communicator): Promise<void> {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  try {
    if (comm.rank === 0) {
      await sleep(200);
      await waitAll(otherRanks(comm).map((to) => comm.sendrecv({ send: { data: Uint8Array.of(1), to } })));
      return;
    }
    await comm.sendrecv({ receive: { into: new Uint8Array(1), from: 0 } }).wait();
    // Forty would fit; a busy machine may grant fewer.
    mustBe(comm, ticks >= 4, true, `a timer of 5 ms went off ${ticks} times in 200 ms of waiting; at least 4`);
  } finally {
    clearInterval(timer);
  }
}

async function traffic(comm: Communicator): Promise<void> {
  const before = comm.traffic;
  const into = new Uint8Array(1000);
  await pass(comm, new Uint8Array(1000), into).wait();
  await comm.sendrecv({ send: { data: new Float32Array(3), to: comm.rank }, receive: { into: new Float32Array(3), from: comm.rank } }).wait();
  await comm.allReduce(new Float32Array(1000)).wait();
  await comm.broadcast(new Float32Array(1000), 0);
  await comm.barrier();
  const after = comm.traffic;
  mustBe(comm, after.sentBytes - before.sentBytes, 1012, "bytes sent");
  mustBe(comm, after.receivedBytes - before.receivedBytes, 1012, "bytes received");
  mustBe(comm, after.messages - before.messages, 2, "messages sent");
}

export const messageLaws: readonly CommunicatorLaw[] = [
  law("a message of any length arrives, 0 and odd bytes included, and nothing around it is touched", 1, anyLength),
  law("every kind of data arrives bit by bit, from views that begin anywhere", 1, anyKind),
  law("views of shared memory are sent and received", 1, sharedMemory),
  law("messages of one tag arrive in the order in which they were sent", 1, inOrder),
  law("messages of different tags pass each other", 1, tagsPass),
  law("hundreds of messages are under way at once", 1, hundreds),
  law("messages of different ranks are told apart", 2, everybodyToEverybody),
  law("a rank that sends to itself receives what it sent", 1, toOneself),
  law("every rank sends 16 MiB around the ring at the same time", 1, longRing),
  law("what was sent may be overwritten as soon as its transfer has ended", 1, memoryIsBack),
  law("the event loop lives while a rank waits", 2, loopLives),
  law("traffic counts what sendrecv moved, and no collective", 1, traffic),
];
