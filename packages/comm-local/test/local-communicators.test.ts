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

test("long reductions go around the ring more than once", async () => {
  const comms = localCommunicators(2);
  const length = 2_300_001; // more than 1 MiB a rank and lap
  const data = comms.map(({ rank }) => Float32Array.from({ length }, (_, i) => (i % 1000) + rank));
  await Promise.all(comms.map((comm) => comm.allReduce(data[comm.rank]!).wait()));
  for (const each of data) expect(each.findIndex((value, i) => value !== 2 * (i % 1000) + 1)).toBe(-1);
});
