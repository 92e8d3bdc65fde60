import { type Communicator, type MessageData, isPolyheadError } from "@polyhead/core";

/** One law of the contract of communicators. */
export interface CommunicatorLaw {
  readonly name: string;
  /** The smallest world that can show it; larger ones are welcome. */
  readonly ranks: number;
  /** It ends the job: it needs ranks of its own, and nothing can follow on them. */
  readonly fatal: boolean;
  /** The time limit that the communicators must have, in milliseconds; left out where it does not matter. */
  readonly timeoutMs?: number;
  /** Every rank calls it with its own communicator, at the same time. Rejects on the ranks that see the law broken. */
  readonly run: (comm: Communicator) => Promise<void>;
}

export const law = (name: string, ranks: number, run: CommunicatorLaw["run"]): CommunicatorLaw => ({ name, ranks, fatal: false, run });

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is waited for later: if another failure comes first, this one's is no unhandled rejection. */
export function kept<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

export const next = ({ rank, size }: Communicator): number => (rank + 1) % size;
export const previous = ({ rank, size }: Communicator): number => (rank + size - 1) % size;
export const everyRank = ({ size }: Communicator): number[] => Array.from({ length: size }, (_, rank) => rank);
export const otherRanks = (comm: Communicator): number[] => everyRank(comm).filter((rank) => rank !== comm.rank);

/** Bytes that follow from the seed, so that both sides know what is sent. */
export function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

const bytesOf = (data: MessageData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Compares bits, so that NaN and −0 count too. */
export function mustBeSame(comm: Communicator, actual: MessageData, expected: MessageData, what: string): void {
  const [given, wanted] = [bytesOf(actual), bytesOf(expected)];
  mustBe(comm, given.length, wanted.length, `${what}: bytes`);
  const wrong = given.findIndex((byte, i) => byte !== wanted[i]);
  if (wrong < 0) return;
  const at = Math.floor(wrong / actual.BYTES_PER_ELEMENT);
  throw new Error(`rank ${comm.rank} of ${comm.size}: ${what}: element ${at} of ${actual.length} is ${actual[at]}, not ${expected[at]}`);
}

export function mustBe(comm: Communicator, actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`rank ${comm.rank} of ${comm.size}: ${what}: ${String(actual)}, not ${String(expected)}`);
}

/** The failure of `work` has one of the codes, and its text names every word. */
export async function mustFail(comm: Communicator, work: () => unknown, codes: string | readonly string[], what: string, words: readonly string[] = []): Promise<void> {
  const wanted = typeof codes === "string" ? [codes] : codes;
  let failure: unknown;
  try {
    await work();
  } catch (error) {
    failure = error;
  }
  checkFailure(comm, failure, wanted, what, words);
}

/** As `mustFail`, but the call itself throws. */
export function mustThrow(comm: Communicator, work: () => unknown, code: string, what: string): void {
  let failure: unknown;
  try {
    work();
  } catch (error) {
    failure = error;
  }
  checkFailure(comm, failure, [code], what, []);
}

function checkFailure(comm: Communicator, failure: unknown, codes: readonly string[], what: string, words: readonly string[]): void {
  const seen = failure instanceof Error ? failure.message : failure === undefined ? "nothing was thrown" : `a ${typeof failure} was thrown`;
  const right = isPolyheadError(failure) && codes.includes(failure.code) && words.every((word) => failure.message.includes(word));
  if (!right) throw new Error(`rank ${comm.rank} of ${comm.size}: ${what}: expected ${[codes.join(" or "), ...words].join(", ")}, but ${seen}`);
}

/** Everybody sends `data(to)` to everybody, itself included, and takes what arrives into `into(from)`. */
export async function allToAll(comm: Communicator, data: (to: number) => MessageData, into: (from: number) => MessageData, tag = 0): Promise<void> {
  const transfers = everyRank(comm).map((peer) =>
    comm.sendrecv({ send: { data: data(peer), to: peer }, receive: { into: into(peer), from: peer }, tag }));
  await Promise.all(transfers.map((transfer) => transfer.wait()));
}
