import type { Communicator, MessageData } from "@polyhead/core";

/** Tags of the example's own messages, apart from those of the attention. */
const [TAG_JSON, TAG_ROWS] = [1001, 1002];

/** Every rank's value, on rank 0; undefined on the others. */
export async function gatherJson<T>(communicator: Communicator, value: T): Promise<T[] | undefined> {
  const { rank, size } = communicator;
  const mine = new TextEncoder().encode(JSON.stringify(value));
  const lengths = new Float64Array(size);
  lengths[rank] = mine.byteLength;
  await communicator.allReduce(lengths).wait();
  const all = await gather(communicator, mine, (from) => new Uint8Array(lengths[from]!), TAG_JSON);
  return all?.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as T);
}

/** Every rank's numbers, on rank 0, where `sizes` says how many they are. */
export function gatherRows(communicator: Communicator, rows: Float32Array, sizes: (rank: number) => number): Promise<Float32Array[] | undefined> {
  return gather(communicator, rows, (from) => new Float32Array(sizes(from)), TAG_ROWS);
}

async function gather<D extends MessageData>(communicator: Communicator, mine: D, room: (from: number) => D, tag: number): Promise<D[] | undefined> {
  const { rank, size } = communicator;
  if (rank !== 0) {
    await communicator.sendrecv({ send: { data: mine, to: 0 }, tag }).wait();
    return undefined;
  }
  const all = Array.from({ length: size }, (_, from) => (from === 0 ? mine : room(from)));
  const waiting = all.slice(1).map((into, i) => communicator.sendrecv({ receive: { into, from: i + 1 }, tag }));
  for (const transfer of waiting) await transfer.wait();
  return all;
}
