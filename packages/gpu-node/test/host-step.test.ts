import { afterAll, describe, expect, it } from "vitest";
import type { HostAccess } from "@polyhead/gpu";
import { openNodeGpu } from "../src/index.ts";
import { pairsOn } from "./pairs.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const { given, numbers, run } = pairsOn(gpu);
afterAll(() => { gpu.dispose(); });

/** A step that ends when it is told to. */
function gate(): { step: () => Promise<void>; open: () => void; fail: (error: Error) => void } {
  let open!: () => void;
  let fail!: (error: Error) => void;
  const passed = new Promise<void>((resolve, reject) => { open = resolve; fail = reject; });
  return { step: () => passed, open, fail };
}

const turns = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a step of the host's", () => {
  it("stands between what was recorded before it and after it, in more dispatches than a batch holds", async () => {
    const x = given(1, 2);
    const y = given(0, 0);
    const seen: number[][] = [];
    const look = async ({ read, write }: HostAccess): Promise<void> => {
      const now = new Float32Array(2);
      await read(x, now);
      await turns(5);
      seen.push([...now]);
      write(x, now.map((value) => value + 100));
    };
    for (let i = 0; i < 3; i++) {
      gpu.hostStep(look);
      for (let j = 0; j < 40; j++) {
        run(x, y, 1, 1);
        run(y, x, 1, 0);
      }
    }
    const end = await numbers(x);
    expect(seen).toEqual([[1, 2], [141, 142], [281, 282]]);
    expect(end).toEqual([421, 422]);
  });

  it("lets the caller record and upload while it waits, and keeps what was uploaded as it was", async () => {
    const x = given(1, 1);
    const y = given(0, 0);
    const { step, open } = gate();
    gpu.hostStep(step);
    run(x, y, 2);
    const data = Float32Array.of(7, 8);
    gpu.write(x, data);
    data.fill(0);
    const both = Promise.all([numbers(x), numbers(y)]);
    const submits = gpu.stats.submits;
    await turns();
    expect(gpu.stats.submits).toBe(submits);
    open();
    expect(await both).toEqual([[7, 8], [2, 2]]);
  });

  it("may start a read that a later step awaits: it sees its own place in the order", async () => {
    const x = given(1, 2);
    const y = given(0, 0);
    const early = new Float32Array(2);
    let reading: Promise<void> | undefined;
    gpu.hostStep(({ read }) => { reading = read(x, early); });
    run(x, y, 10);
    gpu.write(x, Float32Array.of(5, 5));
    gpu.hostStep(async ({ write }) => {
      await reading;
      write(y, early);
    });
    expect([await numbers(y), await numbers(x)]).toEqual([[1, 2], [5, 5]]);
  });

  it("holds replays too, with the live numbers that were read when they were asked for", async () => {
    const x = given(1, 1);
    const y = given(0, 0);
    const factor = { value: 1 };
    const recording = gpu.record(() => { run(x, y, factor); });
    const { step, open } = gate();
    gpu.hostStep(step);
    factor.value = 3;
    recording.replay();
    factor.value = 9;
    recording.dispose(); // its uniforms are needed until the step has ended
    gpu.trim();
    open();
    expect(await numbers(y)).toEqual([3, 3]);
  });

  it("that fails drops what was recorded behind it, and tells everyone who waits", async () => {
    const x = given(1, 1);
    const y = given(4, 4);
    const { step, fail } = gate();
    gpu.hostStep(step);
    run(x, y, 2);
    const reads = [numbers(x), numbers(y), gpu.settled()];
    fail(new Error("the peer is gone"));
    for (const outcome of await Promise.allSettled(reads)) expect(outcome).toMatchObject({ status: "rejected", reason: { message: "the peer is gone" } });
    expect(await numbers(y)).toEqual([4, 4]);
  });

  it("that fails unheard is reported at the next flush or read, once", async () => {
    const x = given(1, 1);
    gpu.hostStep(async () => { await turns(1); throw new Error("nobody listened"); });
    await turns();
    expect(() => { gpu.flush(); }).toThrow("nobody listened");
    expect(await numbers(x)).toEqual([1, 1]);
  });

  it("cannot read or write once it is over, nor be recorded", async () => {
    const x = given(1, 1);
    let kept: HostAccess | undefined;
    gpu.hostStep((host) => { kept = host; });
    expect(() => { kept!.write(x, Float32Array.of(1, 2)); }).toThrow("GPU_HOST_STEP");
    gpu.hostStep(({ write }) => { write(x, Float32Array.of(1, 2, 3)); });
    await expect(gpu.settled()).rejects.toThrow("8 bytes of the device and 12 of the host");
    expect(() => gpu.record(() => { gpu.hostStep(() => undefined); })).toThrow("GPU_REPLAY");
  });

  it("tells those who wait when the Gpu is disposed of", async () => {
    const other = await openNodeGpu({ limits: "default", features: "none" });
    other.hostStep(() => new Promise(() => undefined));
    const waiting = other.settled();
    other.dispose();
    await expect(waiting).rejects.toThrow("GPU_DISPOSED");
  });
});
