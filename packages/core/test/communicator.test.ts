import { describe, expect, test, vi } from "vitest";
import { abortedError, argumentError, closedError, communicatorOver, createOperations, createWatchdog, keptTransfer, lengthError, type Link, lostError, type PolyheadError } from "../src/index.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const waiting = { operation: "receive", peers: [2], tag: 3, bytes: 4096 };

function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

describe("errors of communicators", () => {
  test("name the rank, the peer, the tag and the bytes", () => {
    expect(lengthError(1, waiting, 12).message).toContain("[COMM_LENGTH] rank 1: receive of 4096 bytes, tag 3, from rank 2: the message has 12 bytes");
    expect(abortedError(0, 3, "no data").message).toContain("[COMM_ABORTED] rank 0: rank 3 ended the job: no data");
    expect(lostError(0, 3, "killed").message).toContain("[COMM_LOST] rank 0: rank 3 is lost: killed");
    expect(closedError(2, "barrier()").message).toContain("[COMM_CLOSED] rank 2: barrier() after close()");
    expect(argumentError(2, "tag −1", "another").fix).toBe("another");
  });
});

describe("a watchdog", () => {
  const stalled = async (run: (dog: ReturnType<typeof createWatchdog>) => Promise<void>): Promise<string[]> => {
    const errors: string[] = [];
    const dog = createWatchdog({ rank: 1, timeoutMs: 80, onStall: (error) => errors.push(error.message) });
    await run(dog);
    dog.stop();
    return errors;
  };

  test("names all that is waited for, the longest first, once", async () => {
    const [message, ...more] = await stalled(async (dog) => {
      dog.watch(waiting);
      await sleep(20);
      dog.watch({ operation: "barrier", peers: [], bytes: 0 });
      await sleep(250);
    });
    expect(message).toContain("[COMM_TIMEOUT] rank 1 waited 80 ms for: receive of 4096 bytes, tag 3, from rank 2; barrier over 0 bytes, with every rank");
    expect(more).toEqual([]);
  });

  test("leaves alone what ends in time", async () => {
    expect(await stalled(async (dog) => {
      for (let i = 0; i < 8; i++) {
        const done = dog.watch(waiting);
        await sleep(20);
        done();
      }
    })).toEqual([]);
  });

  test("does not take a blocked event loop of its own for a peer's stall", async () => {
    expect(await stalled(async (dog) => {
      const done = dog.watch(waiting);
      spin(200);
      // What has arrived meanwhile is seen now.
      await sleep(0);
      done();
    })).toEqual([]);
  });
});

describe("operations", () => {
  const started = (): { operations: ReturnType<typeof createOperations>; onStall: ReturnType<typeof vi.fn<(error: PolyheadError) => void>> } => {
    const onStall = vi.fn<(error: PolyheadError) => void>();
    return { operations: createOperations({ rank: 0, timeoutMs: 50, onStall }), onStall };
  };

  test("reject all together when one stalls, and nothing new is started", async () => {
    const { operations, onStall } = started();
    const never = (): Promise<void> => new Promise(() => undefined);
    const both = [operations.run(waiting, never), operations.run({ ...waiting, peers: [5] }, never)];
    for (const each of both) await expect(each).rejects.toThrow(/COMM_TIMEOUT.*from rank 2; .*from rank 5/);
    expect(onStall).toHaveBeenCalledTimes(1);
    const start = vi.fn(never);
    await expect(operations.run(waiting, start)).rejects.toThrow("COMM_TIMEOUT");
    expect(start).not.toHaveBeenCalled();
    await operations.idle();
  });

  test("are idle when all have ended, however they did", async () => {
    const { operations } = started();
    let ended = 0;
    const work = [() => sleep(5), () => sleep(15).then(() => { throw new Error("no"); })].map((start) => operations.run(waiting, start).then(() => ended++, () => ended++));
    await operations.idle();
    await Promise.all(work);
    expect(ended).toBe(2);
    expect(operations.ended).toBeUndefined();
  });
});

test("a failure that nobody waits for is kept, and is no unhandled rejection", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  const transfer = keptTransfer(Promise.reject(new Error("kept")));
  await sleep(20);
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
  await expect(transfer.wait()).rejects.toThrow("kept");
});

describe("a communicator over a link", () => {
  const link = (): Link & { end: (error: PolyheadError) => void; sent: string[] } => {
    const self = {
      kind: "test", rank: 0, size: 2, sent: [] as string[],
      end: (_: PolyheadError): void => undefined,
      send: () => new Promise<void>(() => undefined),
      receive: () => new Promise<number>(() => undefined),
      abort: (reason: string) => void self.sent.push(reason),
      close: () => void self.sent.push("closed"),
      onEnd: (listener: (error: PolyheadError) => void) => void (self.end = listener),
    };
    return self;
  };

  test("asks its link to end the job when a peer stalls, and says whom it waited for", async () => {
    const given = link();
    const comm = communicatorOver(given, { timeoutMs: 40 });
    await expect(comm.allReduce(new Float32Array(1)).wait()).rejects.toThrow(/COMM_TIMEOUT.*allReduce over 4 bytes, with rank 1/);
    expect(given.sent).toEqual([expect.stringMatching(/^\[COMM_TIMEOUT\] rank 0 waited 40 ms for: .* with rank 1$/)]);
  });

  test("is over when the link says so, and can still be closed", async () => {
    const given = link();
    const comm = communicatorOver(given);
    const transfer = comm.sendrecv({ receive: { into: new Float32Array(1), from: 1 } });
    given.end(lostError(0, 1, "killed"));
    await expect(transfer.wait()).rejects.toThrow("COMM_LOST");
    comm.abort("too late");
    await expect(comm.close()).rejects.toThrow("COMM_LOST");
    expect(given.sent).toEqual(["closed"]);
  });

  test("refuses a time limit that is none, and an exchange of nothing", () => {
    for (const timeoutMs of [0, -1, Number.NaN, 2 ** 31]) expect(() => communicatorOver(link(), { timeoutMs })).toThrow("COMM_ARGUMENT");
    expect(() => communicatorOver(link()).sendrecv({})).toThrow("COMM_ARGUMENT");
  });
});
