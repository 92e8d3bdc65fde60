import { openNodeGpu } from "../src/index.ts";
import { scale } from "./pairs.ts";
import { afterAll, describe, expect, it } from "vitest";
import { defineKernel, flatGrid, profileTable, wgsl, type BufferSlice, type Gpu } from "@polyhead/gpu";

const gpu = await openNodeGpu({ limits: "default" });
afterAll(() => { gpu.dispose(); });

const slice = (on: Gpu, bytes: number): BufferSlice => ({ buffer: on.take(bytes), offset: 0, size: bytes });
const run = (x: BufferSlice, y: BufferSlice, count: number, factor: number, shift = 0): void => {
  gpu.dispatch(scale, { x, y }, { count, factor, shift }, flatGrid(count, 64));
};

describe("the recorder", () => {
  it("gives every dispatch its own scalars, across batches", async () => {
    const steps = 700;
    const buffers = [slice(gpu, 256), slice(gpu, 256)] as const;
    gpu.write(buffers[0], Float32Array.of(0, 1));
    for (let i = 0; i < steps; i++) run(buffers[i % 2]!, buffers[(i + 1) % 2]!, 2, 1, i % 3);
    const want = Array.from({ length: steps }, (_, i) => i % 3).reduce((a, b) => a + b, 0);
    expect([...(await gpu.read({ ...buffers[steps % 2]!, size: 8 }, Float32Array))]).toEqual([want, want + 1]);
  });

  it("makes no bind group for buffers it has seen with a kernel before", () => {
    const [x, y] = [slice(gpu, 256), slice(gpu, 256)];
    run(x, y, 2, 1);
    const before = gpu.stats.bindGroups;
    run(x, y, 2, 2);
    expect(gpu.stats.bindGroups).toBe(before);
  });

  it("covers grids of more workgroups than one axis holds", () => {
    expect(flatGrid(65_536 * 64, 64)).toEqual([65_535, 2, 1]);
    expect(flatGrid(0, 64)).toEqual([1, 1, 1]);
  });

  it("refuses a buffer that is read and written at once, naming both bindings", () => {
    const x = slice(gpu, 256);
    expect(() => { run(x, x, 2, 1); }).toThrow(/GPU_DISPATCH.*'scale'.*'y' is written and shares its buffer with 'x'/s);
  });
});

describe("the pool", () => {
  it("hands the same buffers to the same sequence of takes, whatever the order of gives", () => {
    const first = [gpu.take(1000), gpu.take(1000), gpu.take(1000)];
    for (const i of [1, 0, 2]) gpu.give(first[i]!);
    const second = [gpu.take(1000), gpu.take(1000), gpu.take(1000)];
    expect(second.map((b) => b.id)).toEqual(first.map((b) => b.id));
    for (const buffer of second) gpu.give(buffer);
  });

  it("says so when a device cannot hold a buffer", () => {
    expect(() => gpu.take(2 ** 40)).toThrow(/GPU_TOO_LARGE.*1099511627776.*fix:/s);
  });

  it("poisons what it hands out, when asked", async () => {
    const poisoned = await openNodeGpu({ poison: true });
    const values = await poisoned.read(slice(poisoned, 64), Float32Array);
    expect([...values].every(Number.isNaN)).toBe(true);
    poisoned.dispose();
  });
});

describe("failures", () => {
  it("of a shader show the source line with a caret, at the next await", async () => {
    const broken = defineKernel({ name: "broken", bindings: { y: "write array<f32>" }, code: wgsl`
@compute @workgroup_size(1) fn main() {
  y[0] = nonsense;
}` });
    const fresh = await openNodeGpu();
    const y = slice(fresh, 256);
    fresh.dispatch(broken, { y }, {}, [1]);
    const error = await fresh.read(y, Float32Array).then(() => "no error", (e: unknown) => String(e));
    expect(error).toMatch(/GPU_SHADER.*'broken'/s);
    expect(error).toMatch(/ {4} {2}y\[0\] = nonsense;\n {4} {9}\^/);
    fresh.dispose();
  });

  it("of features are told before anything is compiled", async () => {
    const plain = await openNodeGpu({ features: "none" });
    const needy = defineKernel({ name: "needy", bindings: { y: "write array<f32>" }, enable: ["subgroups"], code: "@compute @workgroup_size(1) fn main() {}" });
    expect(() => { plain.dispatch(needy, { y: slice(plain, 256) }, {}, [1]); }).toThrow(/GPU_UNSUPPORTED.*'needy' needs subgroups/s);
    plain.dispose();
  });

  it("of the device end every waiting read with a message, and never hang", async () => {
    const doomed = await openNodeGpu();
    const y = slice(doomed, 256);
    const reading = doomed.read(y, Float32Array);
    doomed.device.destroy();
    await expect(reading).rejects.toThrow(/GPU_DEVICE_LOST.*fix: open a new device/s);
    await expect(doomed.settled()).rejects.toThrow(/GPU_DEVICE_LOST/);
    expect(() => { doomed.dispatch(scale, { x: y, y }, { count: 1, factor: 1, shift: 0 }, [1]); }).toThrow(/GPU_DEVICE_LOST|GPU_DISPATCH/);
  });

  it("of use after dispose say so", async () => {
    const closed = await openNodeGpu();
    const y = slice(closed, 256);
    closed.dispose();
    await expect(closed.read(y, Float32Array)).rejects.toThrow(/GPU_DISPOSED/);
  });
});

describe("the profiler", () => {
  it.runIf(gpu.caps.timestamps)("counts and times every kernel", async () => {
    const [x, y] = [slice(gpu, 256), slice(gpu, 256)];
    gpu.startProfile();
    for (let i = 0; i < 5; i++) run(x, y, 2, 1);
    const rows = await gpu.stopProfile();
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ kernel: "scale", count: 5 });
    expect(rows[0]!.ms).toBeGreaterThanOrEqual(0);
    expect(profileTable(rows)).toMatch(/kernel +count +ms +µs\/call +share\nscale +5 /);
  });
});
