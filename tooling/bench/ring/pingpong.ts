import type { Communicator, Transfer } from "@polyhead/core";

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1]!;

/**
 * Sends `bytes` to and fro between ranks 0 and 1; the median of one way in milliseconds, on rank 0. Rank 0 sends from one array
 * and receives into another, as a ring does.
 */
export async function pingPong(communicator: Communicator, bytes: number, rounds: number, memory: (bytes: number) => Uint8Array = (size) => new Uint8Array(size)): Promise<number> {
  const { rank } = communicator;
  const [data, back] = [memory(bytes).fill(1), memory(bytes)];
  const times: number[] = [];
  let sent: Transfer = { wait: () => Promise.resolve() };
  await communicator.barrier();
  for (let i = -5; i < rounds; i++) {
    const began = performance.now();
    if (rank === 0) {
      await communicator.sendrecv({ send: { data, to: 1 }, receive: { into: back, from: 1 } }).wait();
    } else {
      await communicator.sendrecv({ receive: { into: back, from: 0 } }).wait();
      await sent.wait();
      sent = communicator.sendrecv({ send: { data: back, to: 0 } });
      await sent.wait();
    }
    if (i >= 0) times.push((performance.now() - began) / 2);
  }
  await communicator.barrier();
  if (back[bytes - 1] !== 1) throw new Error(`${bytes} bytes went to and fro over '${communicator.kind}', and came back as others`);
  return median(times);
}
