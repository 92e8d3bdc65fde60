// Started by a launcher: what pingpong.c does, through `@polyhead/comm-mpi`.
import type { Transfer } from "@polyhead/core";
import { mpiCommunicator } from "@polyhead/comm-mpi";

const ROUNDS: readonly (readonly [bytes: number, rounds: number])[] = [[1024, 400], [65_536, 200], [1_048_576, 60], [16_777_216, 12]];
const ELEMENTS = 6_250_000;

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
const tell = (name: string, bytes: number, times: readonly number[]): void =>
  void process.stdout.write(`${JSON.stringify({ case: name, bytes, seconds: median(times) / 1000 })}\n`);

const comm = await mpiCommunicator();
const { rank, size } = comm;
// One piece of memory for all sizes, as in C: small pieces never lie in huge pages, which copy faster.
const allData = new Uint8Array(16_777_216).fill(1);
const allBack = new Uint8Array(16_777_216).fill(2);
for (const [bytes, rounds] of ROUNDS) {
  const [data, back] = [allData.subarray(0, bytes), allBack.subarray(0, bytes)];
  const times: number[] = [];
  let sent: Pick<Transfer, "wait"> = { wait: () => Promise.resolve() };
  await comm.barrier();
  for (let i = -4; i < rounds; i++) {
    const began = performance.now();
    if (rank === 0) await comm.sendrecv({ send: { data, to: 1 }, receive: { into: back, from: 1 } }).wait();
    if (rank === 1) {
      await comm.sendrecv({ receive: { into: back, from: 0 } }).wait();
      await sent.wait();
      sent = comm.sendrecv({ send: { data, to: 0 } });
    }
    if (i >= 0) times.push((performance.now() - began) / 2);
  }
  await sent.wait();
  if (rank === 0) tell("one way", bytes, times);
}
const sum = new Float32Array(ELEMENTS);
const times: number[] = [];
for (let i = -1; i < 9; i++) {
  sum.fill(1);
  await comm.barrier();
  const began = performance.now();
  await comm.allReduce(sum).wait();
  if (i >= 0) times.push(performance.now() - began);
  if (sum[ELEMENTS - 1] !== size) throw new Error(`a sum of ${size} ones is ${sum[ELEMENTS - 1]}`);
}
if (rank === 0) tell("allReduce", 4 * ELEMENTS, times);
await comm.close();
