import type { MessageData, ReducibleData, Reduction } from "../contracts/communicator.ts";
import { bytesOf } from "./transfer.ts";

/**
 * Messages of one collective among `size` ranks, this one being `rank`. Between two ranks they arrive in order, and no other
 * collective's come between.
 */
export interface Round {
  readonly rank: number;
  readonly size: number;
  send(data: MessageData, to: number): Promise<void>;
  /** Rejects with `COMM_LENGTH`. */
  receive(into: MessageData, from: number): Promise<void>;
}

/** Below, latency counts and messages are whole; above, bandwidth, and they are cut into a piece a rank. In bytes. */
const WHOLE_BYTES = 16_384;

/** No piece is longer: adding one up blocks the event loop for about a millisecond, and scratch memory stays in the cache. */
const PIECE_BYTES = 1_048_576;

const both = (first: Promise<void>, second: Promise<void>): Promise<unknown> => Promise.all([first, second]);
/** Where piece `i` of `size` begins. */
const cut = (length: number, i: number, size: number): number => Math.floor((length * i) / size);
const wrap = (i: number, size: number): number => ((i % size) + size) % size;

/** Dissemination (Hensgen, Finkel and Manber 1988): after ⌈log₂ n⌉ rounds every rank has heard, by way of others, of all. */
export async function barrier(round: Round): Promise<void> {
  const { rank, size } = round;
  const nothing = new Uint8Array(0);
  for (let distance = 1; distance < size; distance *= 2) {
    await both(round.send(nothing, wrap(rank + distance, size)), round.receive(nothing, wrap(rank - distance, size)));
  }
}

/** Each rank starts with its own piece, and hands on what it got last: n − 1 steps around the ring. */
async function allGather(round: Round, piece: (i: number) => MessageData, own: number): Promise<void> {
  const { rank, size } = round;
  for (let step = 0; step < size - 1; step++) {
    await both(
      round.send(piece(wrap(own - step, size)), wrap(rank + 1, size)),
      round.receive(piece(wrap(own - step - 1, size)), wrap(rank - 1, size)),
    );
  }
}

/** Whole along a binomial tree; long data as a scatter and an all-gather, with twice the data a rank instead of log₂ n times. */
export async function broadcast(round: Round, data: MessageData, root: number): Promise<void> {
  const { rank, size } = round;
  if (size === 1) return;
  // The tree and the ring are those of ranks counted from the root.
  const place = wrap(rank - root, size);
  const rankAt = (i: number): number => wrap(i + root, size);
  if (data.byteLength <= WHOLE_BYTES) {
    let reach = 1;
    while (reach <= place) reach *= 2;
    if (place > 0) await round.receive(data, rankAt(place - reach / 2));
    const sends: Promise<void>[] = [];
    for (; place + reach < size; reach *= 2) sends.push(round.send(data, rankAt(place + reach)));
    await Promise.all(sends);
    return;
  }
  const bytes = bytesOf(data);
  const piece = (i: number): Uint8Array => bytes.subarray(cut(bytes.length, i, size), cut(bytes.length, i + 1, size));
  const others = Array.from({ length: size - 1 }, (_, i) => i + 1);
  if (place === 0) await Promise.all(others.map((i) => round.send(piece(i), rankAt(i))));
  else await round.receive(piece(place), root);
  await allGather(round, piece, place);
}

/** `into` becomes `into` and `other` reduced, element by element. Both operations give the same bits in either order. */
function reduce(into: ReducibleData, other: ReducibleData, reduction: Reduction): void {
  const length = into.length;
  if (reduction === "sum") for (let i = 0; i < length; i++) into[i]! += other[i]!;
  else for (let i = 0; i < length; i++) into[i] = Math.max(into[i]!, other[i]!);
}

const scratch = (data: ReducibleData, length: number): ReducibleData => (data instanceof Float32Array ? new Float32Array(length) : new Float64Array(length));

/**
 * Recursive doubling: partners exchange all they have. Ranks beyond the largest power of two add theirs to a partner's first,
 * and get the result last. Both partners add the same two numbers, so all ranks have the same bits.
 */
async function reduceWhole(round: Round, data: ReducibleData, reduction: Reduction): Promise<void> {
  const { rank, size } = round;
  const power = 2 ** Math.floor(Math.log2(size));
  if (rank >= power) {
    await round.send(data, rank - power);
    await round.receive(data, rank - power);
    return;
  }
  const other = scratch(data, data.length);
  if (rank + power < size) {
    await round.receive(other, rank + power);
    reduce(data, other, reduction);
  }
  for (let distance = 1; distance < power; distance *= 2) {
    await both(round.send(data, rank ^ distance), round.receive(other, rank ^ distance));
    reduce(data, other, reduction);
  }
  if (rank + power < size) await round.send(data, rank + power);
}

/** Around the ring (Patarasuk and Yuan 2009): piece by piece, each added up in ring order, then handed around: 2(n − 1)/n of the data a rank. */
async function reduceLap(round: Round, data: ReducibleData, other: ReducibleData, reduction: Reduction): Promise<void> {
  const { rank, size } = round;
  const piece = (i: number): ReducibleData => data.subarray(cut(data.length, i, size), cut(data.length, i + 1, size));
  for (let step = 0; step < size - 1; step++) {
    const into = piece(wrap(rank - step - 1, size));
    const arrived = other.subarray(0, into.length);
    await both(round.send(piece(wrap(rank - step, size)), wrap(rank + 1, size)), round.receive(arrived, wrap(rank - 1, size)));
    reduce(into, arrived, reduction);
  }
  await allGather(round, piece, wrap(rank + 1, size));
}

async function reducePieces(round: Round, data: ReducibleData, reduction: Reduction): Promise<void> {
  const lap = (PIECE_BYTES / data.BYTES_PER_ELEMENT) * round.size;
  const other = scratch(data, Math.ceil(Math.min(lap, data.length) / round.size));
  for (let begin = 0; begin < data.length; begin += lap) await reduceLap(round, data.subarray(begin, begin + lap), other, reduction);
}

/** The same bits on every rank and in every run: which numbers are added in which order depends on lengths and ranks alone. */
export async function allReduce(round: Round, data: ReducibleData, reduction: Reduction): Promise<void> {
  if (round.size === 1) return;
  await (data.byteLength <= WHOLE_BYTES ? reduceWhole : reducePieces)(round, data, reduction);
}
