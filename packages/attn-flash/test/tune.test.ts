import { causal, createLab, type Problem } from "@polyhead/core";
import { useTuner, type TuneRecord, type TuneStore } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { flash } from "../src/index.ts";
import { choose, explainFlash, shapeClass, templateName, tuneFlash } from "../src/kernel.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none" });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const shape = { batch: 1, heads: 2, kvHeads: 2, queries: 16, keys: 16, d: 8, dv: 8, half: false, hooked: false };
const problem: Problem = { heads: 2, kvHeads: 2, headDimQK: 8, headDimV: 8, dtype: "f32", mask: causal(), qk: [], score: [], backward: true, cache: "none", dropout: false, padded: false, sizes: { batch: 1, queries: 16, keys: 16 } };

/** A store of one process, and what is in it. */
function memory(): TuneStore & { readonly records: Map<string, TuneRecord> } {
  const records = new Map<string, TuneRecord>();
  return { records, get: (key) => records.get(key), set: (key, record) => { records.set(key, record); } };
}

describe("the choice of templates", () => {
  it("comes from the shipped table where nothing was measured, and the plan says so", () => {
    useTuner(gpu, { mode: "off" });
    const plan = createLab(flash).plan(problem, gpu.caps);
    const name = templateName(choose(gpu, shape).forward.template);
    expect(plan.explain()).toContain(`forward: template '${name}' for ${shapeClass(shape)}, from the shipped table`);
    expect(plan.explain()).toMatch(/dq: .*dkv: /s);
    expect(plan.ms).toBeUndefined();
  });

  it("splits the keys of one query among workgroups, however many heads share them: DeepSeek's 128 on a latent of 512", () => {
    useTuner(gpu, { mode: "off" });
    const { template, splits, packed } = choose(gpu, { batch: 1, heads: 128, kvHeads: 1, queries: 1, keys: 8192, d: 576, dv: 512, half: false, hooked: false }).forward;
    expect(template.kind).not.toBe("unfused");
    expect([packed, splits > 1]).toEqual([true, true]);
  });

  it("is measured when asked, remembered by adapter, and found again by the next process", async () => {
    const store = memory();
    useTuner(gpu, { store });
    // A budget that is over at once: the likely best is measured all the same.
    const rows = await tuneFlash(engine, [{ heads: 2, queries: 16, d: 8 }], { budgetMs: 1, passes: ["forward"] });
    expect(rows).toHaveLength(1);
    expect([...store.records.keys()]).toEqual([`${gpu.info.key} | ${rows[0]!.family} | ${shapeClass(shape)}`]);
    expect(createLab(flash).plan(problem, gpu.caps).explain()).toMatch(/forward: template '.*' for .*, measured .* ms/);
    useTuner(gpu, { store });
    choose(gpu, shape);
    expect(explainFlash(engine).find(({ pass, shape: name }) => pass === "forward" && name === shapeClass(shape))?.source).toBe("store");
    useTuner(gpu, { mode: "force", store });
    expect((await tuneFlash(engine, [{ heads: 2, queries: 16, d: 8 }], { budgetMs: 1, passes: ["forward"] }))[0]?.source).toBe("measured");
  });

  it("passes over a stored winner that this device does not have", () => {
    const store = memory();
    store.set(`${gpu.info.key} | flash@1 forward | ${shapeClass(shape)}`, { winner: "A64 16×128", timings: [{ candidate: "A64 16×128", ms: 1 }], rejected: [], timer: "wall" });
    useTuner(gpu, { store });
    expect(choose(gpu, shape).forward.template.kind).not.toBe("subgroup");
    expect(explainFlash(engine).find(({ pass }) => pass === "forward")?.source).toBe("default");
  });

  it("gives a cost once every pass is measured, and a choice of its own to each class of shapes", () => {
    const store = memory();
    useTuner(gpu, { mode: "off" });
    const names = { forward: templateName(choose(gpu, shape).forward.template), dq: templateName(choose(gpu, shape).dq.template), dkv: templateName(choose(gpu, shape).dkv.template) };
    for (const [pass, winner] of Object.entries(names)) store.set(`${gpu.info.key} | flash@1 ${pass} | ${shapeClass(shape)}`, { winner, timings: [{ candidate: winner, ms: 2 }], rejected: [], timer: "wall" });
    useTuner(gpu, { store });
    expect(createLab(flash).plan(problem, gpu.caps).ms).toBe(6);
    expect(createLab(flash).plan({ ...problem, backward: false }, gpu.caps).ms).toBe(2);
    expect(createLab(flash).plan({ ...problem, sizes: { batch: 1, queries: 64, keys: 64 } }, gpu.caps).ms).toBeUndefined();
    expect(new Set([shape, { ...shape, queries: 1 }, { ...shape, half: true }, { ...shape, kvHeads: 1 }, { ...shape, dv: 16 }, { ...shape, hooked: true }].map(shapeClass)).size).toBe(6);
  });
});
