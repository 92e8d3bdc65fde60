import type { Communicator, Transfer } from "@polyhead/core";
import { type CommunicatorLaw, everyRank, kept, law, mustBe, mustBeSame, mustFail, next, otherRanks, pattern, previous, sleep } from "./communicator-laws-common.ts";

/** Whom a communicator is made of, by what each tells the others. */
async function membersOf(comm: Communicator, name: number): Promise<string> {
  const names = new Float64Array(comm.size);
  names[comm.rank] = name;
  await comm.allReduce(names).wait();
  return names.join();
}

async function byColor(comm: Communicator): Promise<void> {
  // Uneven: rank 0 and every third, and the others in reverse.
  const color = (rank: number): number => (rank % 3 === 0 ? 7 : 1_000_000);
  const key = (rank: number): number => (color(rank) === 7 ? 0 : comm.size - rank);
  const part = await comm.split(color(comm.rank), key(comm.rank));
  const expected = everyRank(comm).filter((rank) => color(rank) === color(comm.rank)).sort((a, b) => key(a) - key(b) || a - b);
  mustBe(comm, part.size, expected.length, "size of the part");
  mustBe(comm, expected[part.rank], comm.rank, "who is at this rank of the part");
  mustBe(comm, await membersOf(part, comm.rank), expected.join(), "members of the part");
  await part.close();
}

async function byRank(comm: Communicator): Promise<void> {
  const part = await comm.split(comm.rank % 2);
  mustBe(comm, part.rank, Math.floor(comm.rank / 2), "rank within the part, without a key");
  const alone = await comm.split(comm.rank, 5);
  mustBe(comm, `${alone.rank} of ${alone.size}`, "0 of 1", "a part of one rank");
  const data = Float32Array.of(3);
  await alone.allReduce(data).wait();
  await alone.broadcast(data, 0);
  await alone.barrier();
  mustBe(comm, data[0], 3, "the sum over one rank");
  await Promise.all([part.close(), alone.close()]);
}

async function nested(comm: Communicator): Promise<void> {
  const half = await comm.split(comm.rank % 2);
  const again = await half.split(0, half.size - half.rank);
  mustBe(comm, again.rank, half.size - 1 - half.rank, "rank in the part of a part, in reverse");
  const into = new Int32Array(1);
  await again.sendrecv({ send: { data: Int32Array.of(comm.rank), to: next(again) }, receive: { into, from: previous(again) } }).wait();
  const expected = everyRank(comm).filter((rank) => rank % 2 === comm.rank % 2).reverse();
  mustBe(comm, into[0], expected[previous(again)], "message within the part of a part");
  await again.close();
  await half.close();
}

async function apart(comm: Communicator): Promise<void> {
  // Two parts of the same ranks, and their parent: the same peers, the same tag, all at once, received in another order.
  const [one, two] = [await comm.split(0), await comm.split(0)];
  const all = [comm, one, two];
  const before = all.map(({ traffic }) => traffic.sentBytes);
  const sends = all.map((each, i) => each.sendrecv({ send: { data: Int32Array.of(i), to: next(comm) }, tag: 4 }));
  for (const i of [2, 0, 1]) {
    const into = new Int32Array(1);
    await all[i]!.sendrecv({ receive: { into, from: previous(comm) }, tag: 4 }).wait();
    mustBe(comm, into[0], i, "the communicator whose message this is");
  }
  await Promise.all(sends.map((send) => send.wait()));
  for (const [i, each] of all.entries()) mustBe(comm, each.traffic.sentBytes - before[i]!, 4, `bytes that communicator ${i} counts`);
  await one.close();
  await two.close();
}

async function meanwhile(comm: Communicator): Promise<void> {
  const part = await comm.split(comm.rank % 2);
  const [ofAll, ofPart] = [new Float32Array(30_000).fill(1), new Float32Array(20_000).fill(2)];
  const into = new Uint8Array(50_000);
  // Which of the two begins is every rank's own affair.
  const reductions = [(): Transfer => part.allReduce(ofPart), (): Transfer => comm.allReduce(ofAll)];
  if (part.rank % 2 === 1) reductions.reverse();
  const work = [
    ...reductions.map((start) => start()),
    comm.sendrecv({ send: { data: pattern(comm.rank, into.length), to: next(comm) }, receive: { into, from: previous(comm) } }),
  ];
  await Promise.all(work.map((each) => each.wait()));
  mustBeSame(comm, ofAll, new Float32Array(30_000).fill(comm.size), "the sum over all, meanwhile");
  mustBeSame(comm, ofPart, new Float32Array(20_000).fill(2 * part.size), "the sum over the part");
  mustBeSame(comm, into, pattern(previous(comm), into.length), "the message, meanwhile");
  await part.close();
}

async function closesAlone(comm: Communicator): Promise<void> {
  const part = await comm.split(0);
  await part.close();
  await mustBeClosed(comm, part);
  const data = Float32Array.of(1);
  await comm.allReduce(data).wait();
  mustBe(comm, data[0], comm.size, "the sum over the parent");
}

/** Whatever is called fails with `COMM_CLOSED`. */
export async function mustBeClosed(comm: Communicator, closed: Communicator): Promise<void> {
  const data = new Float32Array(1);
  const calls: Record<string, () => unknown> = {
    sendrecv: () => closed.sendrecv({ send: { data, to: 0 } }).wait(),
    broadcast: () => closed.broadcast(data, 0),
    allReduce: () => closed.allReduce(data).wait(),
    barrier: () => closed.barrier(),
    split: () => closed.split(0),
    abort: () => closed.abort("it is closed"),
  };
  for (const [name, call] of Object.entries(calls)) await mustFail(comm, call, "COMM_CLOSED", `${name} after close`);
}

async function closeWaits(comm: Communicator): Promise<void> {
  // As with the barrier: whoever has closed says so to the late one.
  const part = await comm.split(0);
  if (comm.rank !== 0) {
    await part.close();
    await comm.sendrecv({ send: { data: Uint8Array.of(1), to: 0 }, tag: 9 }).wait();
    return;
  }
  const closed: number[] = [];
  const news = otherRanks(comm).map((from) => kept(comm.sendrecv({ receive: { into: new Uint8Array(1), from }, tag: 9 }).wait().then(() => void closed.push(from))));
  await sleep(40);
  mustBe(comm, closed.join(), "", "ranks whose close did not wait for the last");
  await part.close();
  await Promise.all(news);
}

export const splitLaws: readonly CommunicatorLaw[] = [
  law("ranks of one color become a communicator, ordered by key, then by rank", 1, byColor),
  law("without a key the order stays, and a rank may be alone", 1, byRank),
  law("parts are split again", 2, nested),
  law("a part has tags and counters of its own", 1, apart),
  law("a part and its parent are used at the same time", 2, meanwhile),
  law("closing a part closes that alone, and nothing can be called on it", 1, closesAlone),
  law("close waits for every rank", 2, closeWaits),
];
