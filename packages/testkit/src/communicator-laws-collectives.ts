import type { Communicator, MessageData, ReducibleData } from "@polyhead/core";
import { type CommunicatorLaw, everyRank, kept, law, mustBe, mustBeSame, next, otherRanks, pattern, previous, sleep } from "./communicator-laws-common.ts";

const numbers = (length: number, of: (i: number) => number): number[] => Array.from({ length }, (_, i) => of(i));

const LENGTHS = [0, 1, 2, 5, 63, 1000, 5003, 100_003];

async function barrierHolds(comm: Communicator): Promise<void> {
  // Whoever leaves the barrier says so to the late one, who must not hear of it before having come. No clocks are compared.
  for (const late of everyRank(comm)) {
    if (comm.rank !== late) {
      await comm.barrier();
      await comm.sendrecv({ send: { data: Uint8Array.of(1), to: late }, tag: 9 }).wait();
      continue;
    }
    const left: number[] = [];
    const news = otherRanks(comm).map((from) => kept(comm.sendrecv({ receive: { into: new Uint8Array(1), from }, tag: 9 }).wait().then(() => void left.push(from))));
    await sleep(40);
    mustBe(comm, left.join(), "", "ranks that have left a barrier before all had come");
    await comm.barrier();
    await Promise.all(news);
  }
}

async function sums(comm: Communicator): Promise<void> {
  const total = (comm.size * (comm.size + 1)) / 2;
  for (const Kind of [Float32Array, Float64Array]) {
    for (const length of LENGTHS) {
      // Whole numbers, whose sums are exact; with one element on each side that is nobody's to write.
      const data = new Kind(length + 2).fill(-1);
      for (let i = 0; i < length; i++) data[i + 1] = (comm.rank + 1) * (i % 97);
      await comm.allReduce(data.subarray(1, length + 1)).wait();
      mustBeSame(comm, data, new Kind(numbers(length + 2, (i) => (i === 0 || i === length + 1 ? -1 : total * ((i - 1) % 97)))), `sum of ${length} elements, ${Kind.name}`);
    }
  }
}

async function largest(comm: Communicator): Promise<void> {
  for (const Kind of [Float32Array, Float64Array]) {
    for (const length of LENGTHS) {
      const of = (rank: number, i: number): number => (i % 5 === 4 ? -Infinity : -1 - ((rank + i) % comm.size));
      const data = new Kind(numbers(length, (i) => of(comm.rank, i)));
      await comm.allReduce(data, "max").wait();
      mustBeSame(comm, data, new Kind(numbers(length, (i) => (i % 5 === 4 ? -Infinity : -1))), `largest of ${length} elements, ${Kind.name}`);
    }
  }
}

/** Numbers whose sum depends on the order in which they are added. */
function delicate(Kind: typeof Float32Array | typeof Float64Array, rank: number, length: number): ReducibleData {
  const bytes = pattern(rank, 2 * length);
  return new Kind(numbers(length, (i) => (bytes[2 * i]! - 127.3) * 10 ** ((bytes[2 * i + 1]! % 17) - 8)));
}

async function sameBits(comm: Communicator): Promise<void> {
  for (const Kind of [Float32Array, Float64Array]) {
    for (const length of [1, 7, 600, 20_001]) {
      let first: ReducibleData | undefined;
      for (let run = 0; run < 3; run++) {
        // In every run another rank is late, and another early.
        await sleep(3 * ((comm.rank + run) % comm.size));
        const data = delicate(Kind, comm.rank, length);
        await comm.allReduce(data).wait();
        first ??= data;
        mustBeSame(comm, data, first, `run ${run} against the first, ${length} elements`);
      }
      const ofRoot: MessageData = first!.slice();
      await comm.broadcast(ofRoot, 0);
      mustBeSame(comm, first!, ofRoot, `against rank 0, ${length} elements`);
    }
  }
}

async function severalReductions(comm: Communicator): Promise<void> {
  const lengths = [3, 40_000, 1, 0, 9000, 40_000, 2, 700];
  const data = lengths.map((length, i) => new Float32Array(length).fill(comm.rank + i));
  const transfers = data.map((each) => comm.allReduce(each));
  // Messages of the user's own, meanwhile.
  const into = new Int32Array(1);
  const passing = comm.sendrecv({ send: { data: Int32Array.of(comm.rank), to: next(comm) }, receive: { into, from: previous(comm) } });
  for (const transfer of transfers.toReversed()) await transfer.wait();
  await passing.wait();
  mustBe(comm, into[0], previous(comm), "the message that was sent meanwhile");
  const ranks = (comm.size * (comm.size - 1)) / 2;
  for (const [i, each] of data.entries()) mustBeSame(comm, each, new Float32Array(each.length).fill(ranks + i * comm.size), `reduction ${i}`);
}

async function broadcasts(comm: Communicator): Promise<void> {
  for (const root of everyRank(comm)) {
    for (const length of [0, 1, 3, 5000, 70_001]) {
      const data = comm.rank === root ? pattern(root, length) : new Uint8Array(length);
      await comm.broadcast(data, root);
      mustBeSame(comm, data, pattern(root, length), `${length} bytes from rank ${root}`);
    }
    const numbers = comm.rank === root ? Float64Array.of(Math.PI, -0, Number.NaN) : new Float64Array(3);
    await comm.broadcast(numbers, root);
    mustBeSame(comm, numbers, Float64Array.of(Math.PI, -0, Number.NaN), `float64 from rank ${root}`);
  }
}

async function collectivesFollow(comm: Communicator): Promise<void> {
  // No barrier in between: a fast rank is in the next one while a slow one is in this.
  const data = new Float32Array(2);
  const work: Promise<void>[] = [];
  for (let i = 0; i < 20; i++) {
    const token = Int32Array.of(comm.rank === i % comm.size ? i : -1);
    work.push(kept(comm.broadcast(token, i % comm.size).then(() => mustBe(comm, token[0], i, `broadcast ${i}`))));
    if (i % 3 === comm.rank % 3) await sleep(1);
    if (i % 5 === 0) work.push(kept(comm.barrier()));
  }
  data.fill(1);
  work.push(comm.allReduce(data).wait());
  await Promise.all(work);
  mustBe(comm, data[1], comm.size, "the sum after all of them");
}

export const collectiveLaws: readonly CommunicatorLaw[] = [
  law("nobody leaves a barrier before everybody has come", 2, barrierHolds),
  law("allReduce adds up over all ranks, whatever the length, in f32 and f64", 1, sums),
  law("allReduce finds the largest over all ranks, −∞ among them", 1, largest),
  law("allReduce leaves the same bits on every rank and in every run", 3, sameBits),
  law("several reductions are under way at once, and messages beside them", 1, severalReductions),
  law("broadcast hands every rank what any root has", 1, broadcasts),
  law("collectives that follow each other closely do not mix", 2, collectivesFollow),
];
