import type { Communicator, Transfer } from "@polyhead/core";
import { type CommunicatorLaw, law, mustBe, mustFail, mustThrow, next, previous, sleep } from "./communicator-laws-common.ts";
import { mustBeClosed } from "./communicator-laws-splits.ts";

const STALL_MS = 600;

async function lengths(comm: Communicator): Promise<void> {
  // Small and large, since a transport may treat them differently; shorter than expected, and longer.
  for (const [sent, expected] of [[4, 8], [8, 4], [0, 1], [100_000, 200_000], [200_000, 100_000]] as const) {
    const send = comm.sendrecv({ send: { data: new Uint8Array(sent), to: next(comm) }, tag: 11 });
    const receive = comm.sendrecv({ receive: { into: new Uint8Array(expected), from: previous(comm) }, tag: 11 });
    await mustFail(comm, () => receive.wait(), "COMM_LENGTH", `${sent} bytes into ${expected}`, [`rank ${previous(comm)}`, "tag 11", `${expected}`]);
    await send.wait();
  }
  const into = new Int32Array(1);
  await comm.sendrecv({ send: { data: Int32Array.of(comm.rank), to: next(comm) }, receive: { into, from: previous(comm) }, tag: 11 }).wait();
  mustBe(comm, into[0], previous(comm), "the message after those that did not fit");
}

async function wrongArguments(comm: Communicator): Promise<void> {
  const data = new Float32Array(1);
  for (const rank of [-1, comm.size, 0.5, Number.NaN]) {
    mustThrow(comm, () => comm.sendrecv({ send: { data, to: rank } }), "COMM_ARGUMENT", `send to rank ${rank}`);
    mustThrow(comm, () => comm.sendrecv({ receive: { into: data, from: rank } }), "COMM_ARGUMENT", `receive from rank ${rank}`);
    await mustFail(comm, () => comm.broadcast(data, rank), "COMM_ARGUMENT", `broadcast from rank ${rank}`);
  }
  for (const tag of [-1, 16_384, 1.5, Number.NaN]) mustThrow(comm, () => comm.sendrecv({ send: { data, to: 0 }, tag }), "COMM_ARGUMENT", `tag ${tag}`);
  for (const wrong of [-1, 0.5, Number.NaN, Infinity]) {
    await mustFail(comm, () => comm.split(wrong), "COMM_ARGUMENT", `split with color ${wrong}`);
    await mustFail(comm, () => comm.split(0, wrong), "COMM_ARGUMENT", `split with key ${wrong}`);
  }
  await comm.barrier();
}

async function closes(comm: Communicator): Promise<void> {
  const part = await comm.split(0);
  // Under way when close is called: it still arrives.
  const into = new Int32Array(100_000);
  const last = comm.sendrecv({ send: { data: new Int32Array(100_000).fill(comm.rank), to: next(comm) }, receive: { into, from: previous(comm) } });
  const sum = new Float32Array(50_000).fill(1);
  const reduction = comm.allReduce(sum);
  await comm.close();
  await Promise.all([last.wait(), reduction.wait()]);
  mustBe(comm, sum.at(-1), comm.size, "the sum that was under way when close was called");
  mustBe(comm, into.at(-1), previous(comm), "what was under way when close was called");
  await mustBeClosed(comm, comm);
  await mustBeClosed(comm, part);
}

async function everythingFails(comm: Communicator, part: Communicator, waiting: readonly Transfer[], code: string | string[], words: readonly string[]): Promise<void> {
  for (const [i, each] of waiting.entries()) await mustFail(comm, () => each.wait(), code, `operation ${i} that was waiting`, words);
  for (const [name, each] of [["the world", comm], ["a part", part]] as const) {
    const data = new Float32Array(1);
    // To oneself too, and where nobody else is needed.
    await mustFail(comm, () => each.sendrecv({ send: { data, to: each.rank }, receive: { into: data, from: each.rank } }).wait(), code, `a later message on ${name}`, words);
    await mustFail(comm, () => each.allReduce(data).wait(), code, `a later reduction on ${name}`, words);
    await mustFail(comm, () => each.barrier(), code, `a later barrier on ${name}`, words);
  }
}

async function aborts(comm: Communicator): Promise<void> {
  const part = await comm.split(comm.rank);
  const receive = (tag: number): Transfer => comm.sendrecv({ receive: { into: new Float32Array(8), from: previous(comm) }, tag });
  const waiting = [receive(1), receive(2), part.sendrecv({ receive: { into: new Float32Array(1), from: 0 } })];
  // The aborting rank never comes to this one.
  if (comm.rank !== comm.size - 1) waiting.push(comm.allReduce(new Float32Array(3)));
  await comm.sendrecv({ send: { data: new Uint8Array(1), to: next(comm) }, receive: { into: new Uint8Array(1), from: previous(comm) } }).wait();
  if (comm.rank === comm.size - 1) {
    await sleep(20);
    comm.abort("the loss is not a number");
  }
  await everythingFails(comm, part, waiting, "COMM_ABORTED", [`rank ${comm.size - 1}`, "the loss is not a number"]);
}

async function stalls(comm: Communicator): Promise<void> {
  const part = await comm.split(0);
  if (comm.rank === 1) {
    // It lives, but does not do its part. By the end of its sleep it has heard that the job is over.
    await sleep(3 * STALL_MS);
    await everythingFails(comm, part, [], "COMM_ABORTED", ["rank 1"]);
    return;
  }
  if (comm.rank !== 0) {
    // These wait for a rank that waits, and began later: it notices first, and they hear from it who is missing.
    await sleep(STALL_MS / 2);
    const waiting = [comm.sendrecv({ receive: { into: new Uint8Array(5), from: 0 } })];
    await everythingFails(comm, part, waiting, "COMM_ABORTED", ["rank 0", "rank 1", "tag 12"]);
    return;
  }
  const began = performance.now();
  const waiting = [comm.sendrecv({ receive: { into: new Uint8Array(77), from: 1 }, tag: 12 })];
  await mustFail(comm, () => waiting[0]!.wait(), "COMM_TIMEOUT", "a message that never comes", ["rank 1", "tag 12", "77 bytes"]);
  const took = performance.now() - began;
  mustBe(comm, took > STALL_MS / 2, true, `a limit of ${STALL_MS} ms was over after ${took} ms`);
  await everythingFails(comm, part, [], ["COMM_TIMEOUT", "COMM_ABORTED"], ["rank 1"]);
}

async function slowIsNoStall(comm: Communicator): Promise<void> {
  // Operations that end in time, again and again, for longer than the limit in all.
  for (let i = 0; i < 8; i++) {
    if (i % comm.size === comm.rank) await sleep(STALL_MS / 4);
    await comm.barrier();
  }
  // Nobody waits for anything: that is no stall either.
  await sleep(1.5 * STALL_MS);
  await comm.barrier();
}

export const failureLaws: readonly CommunicatorLaw[] = [
  law("a message of another length rejects with COMM_LENGTH, and the next one arrives", 1, lengths),
  law("a rank, tag, color or key that is not there is refused", 1, wrongArguments),
  { ...law("slow ranks are no stalled ones", 2, slowIsNoStall), timeoutMs: STALL_MS },
  { ...law("after close nothing can be called, and what was under way arrives", 1, closes), fatal: true },
  { ...law("after abort everything rejects, on every rank, waiting or later", 2, aborts), fatal: true },
  { ...law("a peer that stalls is named, and the job is over on every rank", 2, stalls), fatal: true, timeoutMs: STALL_MS },
];
