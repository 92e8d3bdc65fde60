import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineKernel, Tuner, type Gpu, type TuneCandidate } from "@polyhead/gpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openNodeGpu, openTuneStore, tuneModeFromEnv } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "polyhead-tune-"));
let gpu: Gpu;
beforeAll(async () => { gpu = await openNodeGpu({ limits: "default" }); });
afterAll(() => {
  gpu.dispose();
  rmSync(folder, { recursive: true });
});

const spin = (name: string, turns: number) =>
  defineKernel({
    name,
    bindings: { x: "write array<f32>" },
    code: `@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var v = 0.5; for (var i = 0u; i < ${turns}u; i++) { v = v * 0.999 + 0.01; } x[id.x] = v; }`,
  });
const [slow, fast] = [spin("slow", 20_000), spin("fast", 10)];
const broken = defineKernel({ name: "broken", bindings: { x: "write array<f32>" }, code: "@compute @workgroup_size(64) fn main() { x[0] = nothing; }" });

function candidates(log: string[] = []): TuneCandidate[] {
  const buffer = gpu.take(64 * 64 * 4);
  const x = { buffer, offset: 0, size: buffer.bytes };
  return [slow, broken, fast].map((kernel) => ({
    name: kernel.name,
    run: () => {
      log.push(kernel.name);
      gpu.dispatch(kernel, { x }, {}, [64]);
    },
  }));
}
const task = (log?: string[]) => ({ family: "spin@1", shape: "n4096", candidates: [...candidates(log), { name: "absent", run: () => { throw new Error("was run"); }, unsupported: "needs a moon" }] });

describe("the tuner", () => {
  it("chooses the fastest, and says what it turned down and why", async () => {
    const row = await new Tuner(gpu).measure(task());
    expect(row).toMatchObject({ winner: "fast", source: "measured", family: "spin@1", shape: "n4096" });
    expect(row!.timings.map((t) => t.candidate)).toEqual(["fast", "slow"]);
    expect(row!.timings[0]!.ms).toBeLessThan(row!.timings[1]!.ms);
    expect(row!.rejected).toContainEqual({ candidate: "absent", reason: "needs a moon" });
    expect(row!.rejected.find((r) => r.candidate === "broken")!.reason).toContain("broken");
  });

  it("measures once, and finds the winner in the store of an earlier process", async () => {
    const file = join(folder, "once", "tune.json");
    const first = new Tuner(gpu, { store: openTuneStore(file) });
    const measured = await first.measure(task());
    const log: string[] = [];
    await first.measure(task(log));
    const later = new Tuner(gpu, { store: openTuneStore(file) });
    expect(later.lookup("spin@1", "n4096")).toEqual({ ...measured, source: "store" });
    await later.measure(task(log));
    expect(log).toEqual([]);
    expect(later.lookup("spin@2", "n4096")).toBeUndefined();
    expect(readdirSync(join(folder, "once"))).toEqual(["tune.json"]);
  });

  it("measures anew when forced, and nothing when off", async () => {
    const store = openTuneStore(join(folder, "modes.json"));
    await new Tuner(gpu, { store }).measure(task());
    const log: string[] = [];
    const off = new Tuner(gpu, { store, mode: "off" });
    expect(await off.measure(task(log))).toBeUndefined();
    expect(off.lookup("spin@1", "n4096")).toBeUndefined();
    expect(log).toEqual([]);
    expect(await new Tuner(gpu, { store, mode: "force" }).measure(task(log))).toMatchObject({ source: "measured" });
    expect(log).toContain("fast");
  });

  it("names every reason when no candidate runs", async () => {
    const none = { family: "moon@1", shape: "any", candidates: [{ name: "absent", run: () => undefined, unsupported: "needs a moon" }] };
    await expect(new Tuner(gpu).measure(none)).rejects.toThrow(/moon@1.*absent: needs a moon/s);
  });
});

describe("the store on disk", () => {
  const record = { winner: "a", timings: [{ candidate: "a", ms: 1 }], rejected: [], timer: "wall" as const };

  it("keeps what another process wrote meanwhile", () => {
    const file = join(folder, "two.json");
    const [one, two] = [openTuneStore(file), openTuneStore(file)];
    one.set("x", record);
    two.set("y", { ...record, winner: "b" });
    expect(Object.keys(JSON.parse(readFileSync(file, "utf8")) as object).sort()).toEqual(["x", "y"]);
    expect(openTuneStore(file).get("x")).toEqual(record);
  });

  it("takes a damaged file, or a damaged record, for an empty one", () => {
    const file = join(folder, "damaged.json");
    for (const text of ["{ \"x\": ", "null", "{\"x\": {\"winner\": 3}}"]) {
      writeFileSync(file, text);
      expect(openTuneStore(file).get("x")).toBeUndefined();
    }
    openTuneStore(file).set("x", record);
    expect(openTuneStore(file).get("x")).toEqual(record);
  });

  it("goes without memory where nothing can be written", () => {
    const file = join(folder, "two.json", "below-a-file", "tune.json");
    const store = openTuneStore(file);
    store.set("x", record);
    expect(store.get("x")).toEqual(record);
  });
});

describe("POLYHEAD_TUNE", () => {
  it("is on by default, and refuses what it does not know", () => {
    expect([tuneModeFromEnv(""), tuneModeFromEnv("off"), tuneModeFromEnv("force")]).toEqual(["on", "off", "force"]);
    expect(() => tuneModeFromEnv("maybe")).toThrow(/POLYHEAD_TUNE is 'maybe'/);
  });
});
