import { expect, test } from "vitest";
import { ABIS } from "../src/abi.ts";
import { createArrivals, type Arrivals } from "../src/arrivals.ts";
import type { Address, Mpi } from "../src/library.ts";
import { createPoller } from "../src/poller.ts";
import { createRequests } from "../src/requests.ts";

/** An MPI whose messages are at hand: those of each tag, by their bytes. */
function fakeMpi(messages: Map<number, Uint8Array[]>): { readonly mpi: Mpi; readonly handed: number[] } {
  const views: ArrayBufferView[] = [];
  const viewAt = (at: Address): ArrayBufferView => views[Number(at)]!;
  const handed: number[] = [];
  let probed: Uint8Array | undefined;
  const call = {
    Improbe(_from: number, tag: number, _comm: number, flag: Address) {
      probed = messages.get(tag)?.shift();
      (viewAt(flag) as Int32Array)[0] = probed === undefined ? 0 : 1;
      return tag === 666 ? 1 : 0;
    },
    Get_count(_status: Address, _type: number, count: Address) {
      (viewAt(count) as Int32Array)[0] = probed!.length;
      return 0;
    },
    Imrecv(into: Address, count: number) {
      const view = viewAt(into);
      handed.push(view.byteLength);
      expect(count).toBeLessThanOrEqual(view.byteLength);
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(probed!);
      return 0;
    },
    Test(_request: Address, flag: Address) {
      (viewAt(flag) as Int32Array)[0] = 1;
      return 0;
    },
    Error_string(_code: number, text: Address, length: Address) {
      (viewAt(length) as Int32Array)[0] = new TextEncoder().encodeInto("a link is broken", viewAt(text) as Uint8Array).written;
      return 0;
    },
  };
  const address = (view: ArrayBufferView): Address => BigInt(views.push(view) - 1);
  return { handed, mpi: { abi: ABIS.mpich, file: "fake", version: "fake", handles: ABIS.mpich.handles as Mpi["handles"], call: call as unknown as Mpi["call"], address } };
}

function world(messages: Map<number, Uint8Array[]>): { readonly arrivals: Arrivals; readonly handed: number[] } {
  const { mpi, handed } = fakeMpi(messages);
  const poller = createPoller();
  return { arrivals: createArrivals(mpi, poller, createRequests(mpi, poller)), handed };
}

test("messages of one tag are those of the receives in their order, and tags pass each other", async () => {
  const messages = new Map<number, Uint8Array[]>();
  const { arrivals } = world(messages);
  const [a, b, c] = [new Uint8Array(1), new Uint8Array(1), new Uint8Array(1)];
  const first = arrivals.receive(1, 0, 5, a);
  const second = arrivals.receive(1, 0, 5, b);
  const other = arrivals.receive(1, 0, 6, c);
  messages.set(6, [Uint8Array.of(3)]);
  expect(await other).toEqual({ bytes: 1 });
  messages.set(5, [Uint8Array.of(1), Uint8Array.of(2)]);
  await Promise.all([first, second]);
  expect([a[0], b[0], c[0]]).toEqual([1, 2, 3]);
});

test("memory of another length than the message is never handed to MPI", async () => {
  const { arrivals, handed } = world(new Map([[5, [new Uint8Array(9).fill(7), new Uint8Array(2).fill(7)]]]));
  const into = new Uint8Array(4);
  expect(await arrivals.receive(1, 0, 5, into)).toEqual({ bytes: 9 });
  expect(await arrivals.receive(1, 0, 5, into)).toEqual({ bytes: 2 });
  expect(handed).toEqual([9, 2]);
  expect([...into]).toEqual([0, 0, 0, 0]);
});

test("what MPI reports is handed on", async () => {
  const { arrivals } = world(new Map());
  expect(await arrivals.receive(1, 0, 666, new Uint8Array(1))).toEqual({ failure: "a link is broken" });
});

test("however much is there, the event loop goes on", async () => {
  const { arrivals } = world(new Map([[5, Array.from({ length: 2000 }, () => new Uint8Array(1))]]));
  let turns = 0;
  const counter = setInterval(() => turns++, 0);
  for (let i = 0; i < 2000; i++) await arrivals.receive(1, 0, 5, new Uint8Array(1));
  clearInterval(counter);
  // A timer comes once a millisecond at most; without the event loop, never.
  expect(turns).toBeGreaterThan(0);
});
