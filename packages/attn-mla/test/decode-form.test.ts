import { describe, expect, it } from "vitest";
import { isAbsorbed, latentRows, products } from "../src/decode-form.ts";
import { cacheSaving } from "../src/index.ts";

const deepseek = { kvRank: 512, nopeDim: 128, ropeDim: 64, valueDim: 128 };

describe("the form of decode", () => {
  it("absorbs where that takes fewer products: single rows, not a prompt that starts a cache", () => {
    expect(isAbsorbed("auto", deepseek, { queries: 1, keys: 4096 })).toBe(true);
    expect(isAbsorbed("auto", deepseek, { queries: 4096, keys: 4096 })).toBe(false);
    expect(isAbsorbed("naive", deepseek, { queries: 1, keys: 4096 })).toBe(false);
    expect(isAbsorbed("absorbed", deepseek, { queries: 4096, keys: 4096 })).toBe(true);
  });

  it("changes where both take as many products", () => {
    const keys = 10_000;
    const rows = latentRows(deepseek, keys);
    expect(rows).toBe(167);
    const at = (queries: number): { readonly absorbed: number; readonly naive: number } => products(deepseek, { queries, keys });
    expect(at(rows).absorbed).toBeLessThanOrEqual(at(rows).naive);
    expect(at(rows + 1).absorbed).toBeGreaterThan(at(rows + 1).naive);
    expect(latentRows({ ...deepseek, kvRank: 64 }, keys)).toBe(Infinity);
  });
});

describe("the saving of the cache", () => {
  it("is of like for like, with the paper's figure beside it", () => {
    const saving = cacheSaving({ layers: 60, heads: 128, ...deepseek, kvHeads: 8 });
    expect(saving).toMatchObject({ latent: 60 * 576, multiHead: 60 * 128 * 320, groupedQuery: 60 * 8 * 320, equalGroups: 2.25 });
    expect(saving.text).toBe(
      [
        "a token takes 34,560 numbers (60 layers of 512 + 64)",
        "multi-head attention of 128 such heads would take 2,457,600, of which it saves 98.6 %",
        "grouped-query attention of 8 would take 153,600, of which it saves 77.5 %",
        "as the paper counts, grouped-query attention with 2.25 heads of 128 has a cache of this size",
        "the paper's 93.3 % is against another model, DeepSeek 67B: 34,560 numbers of 6 bits in place of 194,560 of 16; by numbers alone 82.2 %",
      ].join("\n"),
    );
  });

  it("says so where there is none", () => {
    expect(cacheSaving({ layers: 1, heads: 1, kvRank: 512, nopeDim: 8, ropeDim: 8, valueDim: 8 }).text).toContain("would take 24, which is less");
  });
});
