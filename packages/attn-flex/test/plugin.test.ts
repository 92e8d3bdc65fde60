import { and, causal, custom, defineKernelPlugin, document, full, maskMod, plan, prefix, window, type Caps, type Mask, type Plan, type Problem } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { flex } from "../src/index.ts";

const caps: Caps = { f16: false, subgroups: false, storageBuffers: 8, workgroupBytes: 16384, maxBindingBytes: 2 ** 27 };
const problem: Problem = {
  heads: 4, kvHeads: 2, headDimQK: 64, headDimV: 64, dtype: "f32", mask: causal(), qk: [], score: [],
  backward: true, cache: "none", dropout: false, padded: false, sizes: { batch: 1, queries: 1024, keys: 1024 },
};
const other = (name: string, preference: number) => defineKernelPlugin({ name, preference, lower: () => "inline" as const, unsupported: () => [], run: () => { throw new Error("only planned"); } });
const planFor = (change: Partial<Problem>): Plan => plan({ ...problem, ...change }, [other("reference", 1000), other("flash", 100), flex], caps);
const documents = document(Int32Array.of(0, 0, 1));
const ranges: readonly Mask[] = [full(), causal(), window(256), prefix(9), and(causal(), window(8)), custom(maskMod`kv <= q && q - kv < 64`)];
const others: readonly Mask[] = [documents, and(causal(), documents), custom(maskMod`(q + kv) % 2 == 0`)];

describe("a plan", () => {
  it("takes flex for masks whose blocks may be empty or full, before flash", () => {
    for (const mask of others) expect(planFor({ mask }).kernel).toBe(flex);
  });

  it("leaves ranges of keys to flash, and says why", () => {
    for (const mask of ranges) {
      const made = planFor({ mask });
      expect(made.kernel.name).toBe("flash");
      expect(made.explain()).toContain("not 'flex': the mask is a range of keys, which 'flash' walks without lists of blocks");
    }
  });

  it("turns dropout down", () => {
    expect(planFor({ mask: documents, dropout: true }).explain()).toContain("not 'flex': attention dropout is on, which the unfused kernel alone applies");
  });

  it("says how the mask is cut, and by whom", () => {
    expect(planFor({ mask: documents }).explain()).toContain("blocks of 128 × 128, told apart by intervals, or on the GPU where they leave a block open, and kept by mask, sizes and what captures hold");
    expect(planFor({ mask: documents, cache: "dense" }).explain()).toContain("; steps of few queries ask the mask for each cell");
  });

  it("says why there are no lists, where there are none", () => {
    expect(planFor({ mask: documents, sizes: { batch: 1, queries: 1, keys: 1024 } }).explain()).toContain("no lists of blocks: 1 query looks at each cell of the mask once");
    expect(planFor({ mask: documents, sizes: { batch: 1, queries: 100, keys: 100 } }).explain()).toContain("no lists of blocks: there are only 100 keys");
  });
});
