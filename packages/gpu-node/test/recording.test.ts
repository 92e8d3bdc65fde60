import { afterAll, describe, expect, it } from "vitest";
import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "../src/index.ts";
import { double, pairsOn } from "./pairs.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const { given, numbers, run, slice } = pairsOn(gpu);
afterAll(() => { gpu.dispose(); });

describe("a recording", () => {
  it("runs its work once while it is made, and once more at every replay, in more dispatches than a batch holds", async () => {
    const x = given(1, 2);
    const y = given(0, 0);
    const recording = gpu.record(() => {
      for (let i = 0; i < 75; i++) {
        run(x, y, 1, 1);
        run(y, x, 1, i % 2);
      }
    });
    const once = 75 + 37;
    expect(await numbers(x)).toEqual([1 + once, 2 + once]);
    recording.replay();
    recording.replay();
    expect(await numbers(x)).toEqual([1 + 3 * once, 2 + 3 * once]);
    expect(recording.dispatches).toBe(150);
    recording.dispose();
  });

  it("reads live numbers anew at each replay, of every type, and leaves the others alone", async () => {
    const x = given(0, 0);
    const y = given(2, 4);
    const factor = { value: 3 };
    const shift = { value: -1 };
    const recording = gpu.record(() => { run(y, x, 0.5); run(x, y, factor, shift); run(x, y, factor, shift); });
    expect(await numbers(y)).toEqual([2, 5]);
    gpu.write(y, Float32Array.of(2, 4));
    factor.value = -0.25;
    shift.value = 7;
    recording.replay();
    factor.value = 100; // the replay above keeps what it read, whether it has been sent or not
    expect(await numbers(y)).toEqual([6.75, 6.5]);
    expect(await numbers(x)).toEqual([1, 2]);
    recording.dispose();
  });

  it("replayed twice without a flush in between keeps each replay's numbers apart", async () => {
    const x = given(0, 0);
    const y = given(0, 0);
    const shift = { value: 1 };
    const recording = gpu.record(() => { run(x, y, 1, shift); run(y, x, 1); });
    for (const value of [10, 100, 1000]) {
      shift.value = value;
      recording.replay();
    }
    expect(await numbers(x)).toEqual([1111, 1111]);
    recording.dispose();
  });

  it("asks a live number once a replay, however many scalars it stands in", () => {
    const x = given(0, 0);
    const y = given(0, 0);
    let asked = 0;
    const live = { get value() { return ++asked; } };
    const recording = gpu.record(() => { for (let i = 0; i < 5; i++) run(x, y, live, live); });
    asked = 0;
    recording.replay();
    expect(asked).toBe(1);
    recording.dispose();
  });

  it("repeats copies in their place among the dispatches", async () => {
    const x = given(1, 2);
    const y = given(5, 6);
    const recording = gpu.record(() => {
      run(x, y, 2);
      gpu.copy(y, x, 8);
      run(x, y, 10);
    });
    recording.replay();
    expect(await numbers(x)).toEqual([4, 8]);
    expect(await numbers(y)).toEqual([40, 80]);
    recording.dispose();
  });

  it("stands in order between what is dispatched before and after it", async () => {
    const x = given(1, 2);
    const y = given(0, 0);
    const recording = gpu.record(() => { run(x, y, 2); });
    run(y, x, 1); // x = 2, 4
    recording.replay(); // y = 4, 8
    run(y, x, 1, 1); // x = 5, 9
    recording.replay();
    expect(await numbers(y)).toEqual([10, 18]);
    recording.dispose();
  });

  it("poisons again what it took, so that a step which leans on its last run is found out", async () => {
    const [source, y] = [given(1, 1), given(0, 0)];
    const recording = gpu.record(() => {
      const scratch = slice(gpu.take(8));
      run(scratch, y, 1);
      run(source, scratch, 1);
    });
    recording.replay();
    expect(await numbers(y)).toEqual([NaN, NaN]);
    recording.dispose();
  });

  it("counts its replays and their dispatches, and sends a replay and its read at once", async () => {
    const [x, y] = [given(1, 2), given(0, 0)];
    const recording = gpu.record(() => { run(x, y, 1); run(y, x, 1); });
    await gpu.settled();
    const before = gpu.stats;
    recording.replay();
    await numbers(x);
    const { replays, dispatches, submits, bindGroups } = gpu.stats;
    expect([replays - before.replays, dispatches - before.dispatches, submits - before.submits, bindGroups - before.bindGroups]).toEqual([1, 2, 1, 0]);
    recording.dispose();
  });
});

describe("what cannot be replayed is refused by name:", () => {
  const refused = (work: () => unknown): unknown => {
    const before = gpu.stats.liveBytes;
    let error: unknown;
    try {
      gpu.record(work);
    } catch (reason) {
      error = reason;
    }
    expect(gpu.recording).toBe(false);
    expect(gpu.stats.liveBytes).toBe(before);
    return error;
  };

  it("numbers of the host's, even where the work swallows the error", () => {
    const x = given(1, 2);
    const write = (): void => { gpu.write(x, Float32Array.of(1)); };
    expect(refused(write)).toMatchObject({ code: "GPU_REPLAY", message: expect.stringMatching(/4 bytes of the host's/) as string });
    expect(refused(() => { try { write(); } catch { /* swallowed */ } })).toMatchObject({ code: "GPU_REPLAY" });
  });

  it("a read", async () => {
    const x = given(1, 2);
    let reading: Promise<unknown> | undefined;
    expect(refused(() => { reading = gpu.read(x, Float32Array).catch((error: unknown) => error); })).toMatchObject({ code: "GPU_REPLAY", message: expect.stringMatching(/a read was asked for/) as string });
    expect(await reading).toMatchObject({ code: "GPU_REPLAY" });
  });

  it("asynchronous work, a recording in a recording, a replay in a recording", () => {
    const x = given(1, 2);
    const inner = gpu.record(() => { gpu.dispatch(double, { y: x }, {}, [1]); });
    expect(refused(async () => Promise.resolve())).toMatchObject({ code: "GPU_REPLAY", message: expect.stringMatching(/asynchronous/) as string });
    expect(refused(() => { gpu.record(() => undefined); })).toMatchObject({ code: "GPU_REPLAY", message: expect.stringMatching(/within record/) as string });
    expect(refused(() => { inner.replay(); })).toMatchObject({ code: "GPU_REPLAY", message: expect.stringMatching(/within record/) as string });
    inner.dispose();
    expect(() => { inner.replay(); }).toThrow(/GPU_REPLAY.*disposed/s);
  });

  it("a profile", async () => {
    const timed: Gpu = await openNodeGpu();
    if (timed.caps.timestamps) {
      const recording = timed.record(() => undefined);
      timed.startProfile();
      expect(() => timed.record(() => undefined)).toThrow(/GPU_REPLAY.*profile runs/s);
      expect(() => { recording.replay(); }).toThrow(/GPU_REPLAY.*profile runs/s);
      await timed.stopProfile();
      recording.replay();
      expect(() => timed.record(() => { timed.startProfile(); })).toThrow(/GPU_REPLAY.*profile was started/s);
    }
    timed.dispose();
  });
});
