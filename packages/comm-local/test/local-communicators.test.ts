import { expect, test } from "vitest";
import { localCommunicators } from "../src/index.ts";

test("what one rank sends another receives", async () => {
  const [a, b] = localCommunicators(2);
  const into = new Float32Array(3);
  const received = b!.sendrecv({ receive: { into, from: 0 } });
  await a!.sendrecv({ send: { data: Float32Array.of(1, 2, 3), to: 1 } }).wait();
  await received.wait();
  expect([...into]).toEqual([1, 2, 3]);
});

test("sizes that are none are refused", () => {
  for (const size of [0, -1, 1.5, Number.NaN]) expect(() => localCommunicators(size)).toThrow(expect.objectContaining({ code: "COMM_ARGUMENT" }));
});

test.each([1, 2, 3, 4, 5, 7, 8])("allReduce adds up on %i ranks", async (size) => {
  const comms = localCommunicators(size);
  for (const length of [0, 1, 5, 5000, 10_001]) {
    const data = comms.map(({ rank }) => Float32Array.from({ length }, (_, i) => rank * 1000 + i));
    await Promise.all(comms.map((comm, rank) => comm.allReduce(data[rank]!).wait()));
    const sum = (size * (size - 1)) / 2 * 1000;
    for (const each of data) expect(each.every((value, i) => value === sum + size * i)).toBe(true);
  }
  await Promise.all(comms.map(async (comm) => {
    for (let root = 0; root < size; root++) for (const length of [1, 20_001]) {
      const data = new Int32Array(length).fill(comm.rank === root ? 7 + root : 0);
      await comm.broadcast(data, root);
      expect(data.every((value) => value === 7 + root)).toBe(true);
    }
    await comm.barrier();
    await comm.close();
  }));
});
