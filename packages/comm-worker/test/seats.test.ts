import { expect, test } from "vitest";
import { createSeats, joinWorld, takeSeat } from "../src/index.ts";

test("a worker that is given no seat says so when its time is over", async () => {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  await expect(joinWorld(port1, { timeoutMs: 30 })).rejects.toThrow(/COMM_TIMEOUT.*30 ms for its seat[^]*workerWorld/);
  port1.close();
  port2.close();
});

test("sizes and kinds of memory that are none are refused", () => {
  for (const size of [0, -1, 1.5, Number.NaN]) expect(() => createSeats(size)).toThrow("COMM_ARGUMENT");
  expect(() => createSeats(1, { memory: "borrow" as "share" })).toThrow(/COMM_ARGUMENT.*'borrow'/);
});

test("seats may be taken in one thread, and closing lets it end", async () => {
  const { seats } = createSeats(2);
  const [a, b] = await Promise.all(seats.map((seat) => takeSeat(seat)));
  const data = Float32Array.of(1, 2);
  const into = new Float32Array(2);
  await Promise.all([a!.sendrecv({ send: { data, to: 1 } }).wait(), b!.sendrecv({ receive: { into, from: 0 } }).wait()]);
  expect([...into]).toEqual([1, 2]);
  await Promise.all([a!.close(), b!.close()]);
});

test("ranks hear of a lost one, of which the maker of the seats has told", async () => {
  const { seats, lost } = createSeats(3);
  const comms = await Promise.all(seats.map((seat) => takeSeat(seat)));
  lost(1, "its device is gone");
  for (const rank of [0, 2]) {
    await expect(comms[rank]!.sendrecv({ receive: { into: new Float32Array(1), from: 1 } }).wait()).rejects.toThrow(/COMM_LOST.*rank 1 is lost: its device is gone/);
  }
});
