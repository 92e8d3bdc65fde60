import { and, capture, causal, custom, document, maskMod, materialize, window } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { describe, expect, it } from "vitest";
import { createBlockMask, loadBlockMask, type BlockMaskData } from "../src/index.ts";
import { gridOf, PARTIAL, type BlockSizes } from "../src/sizes.ts";
import { poisoned } from "./devices.ts";
import { ids, MASKS, statesByCells } from "./masks.ts";

const engine = await poisoned();

/** Uneven lengths, offsets, and blocks of two sizes. */
const SIZES: BlockSizes = { batch: 2, heads: 3, queries: 100, keys: 131, queryBlock: 16, keyBlock: 32, qOffset: 20, kvOffset: 3 };
const HUGE: BlockSizes = { ...SIZES, queryBlock: 128, keyBlock: 256, heads: 1 };
const states = (mask: ReturnType<typeof createBlockMask>): Promise<Uint8Array> => mask.states();

describe("blocks told apart on the GPU", () => {
  it.each(Object.entries(MASKS))("are what the cells say: %s", async (_, mask) => {
    for (const sizes of [SIZES, HUGE]) {
      const block = createBlockMask(engine, mask, { ...sizes, by: "gpu" });
      expect(block.classifiedBy).toBe("gpu");
      expect(await states(block)).toEqual(statesByCells(mask, sizes));
    }
  });
});

describe("blocks told apart by intervals", () => {
  it.each(Object.entries(MASKS))("are never wrong: what is called full or empty is so: %s", async (_, mask) => {
    for (const sizes of [SIZES, HUGE]) {
      const found = await states(createBlockMask(engine, mask, { ...sizes, by: "intervals" }));
      const cells = statesByCells(mask, sizes);
      expect(found.map((state, n) => (state === PARTIAL ? (cells[n] ?? 0) : state))).toEqual(cells);
    }
  });

  it.each(["causal", "a window", "a prefix", "causal documents", "documents of each batch row", "all but a window", "a reach for each head", "nothing"])("are exact for %s, which bounds describe", async (name) => {
    const mask = MASKS[name]!;
    const block = createBlockMask(engine, mask, SIZES);
    expect(block.classifiedBy).toBe("intervals");
    expect(await states(block)).toEqual(statesByCells(mask, SIZES));
  });

  it("give way to the GPU where they leave a block open", async () => {
    // Always true, and a square shows it to cells alone.
    const mask = custom(maskMod`(q * q) % 4 != 2`);
    const sizes = { queries: 200, keys: 200 };
    expect((await createBlockMask(engine, mask, { ...sizes, by: "intervals" }).sparsity()).full).toBe(0);
    const block = createBlockMask(engine, mask, sizes);
    expect(block.classifiedBy).toBe("gpu");
    expect((await block.sparsity()).full).toBe(4);
  });

  it("take milliseconds where cells take a minute: a window of 8192²", () => {
    const start = performance.now();
    createBlockMask(engine, and(window(255), document(new Int32Array(8192))), { queries: 8192, keys: 8192, by: "intervals" }).dispose();
    expect(performance.now() - start).toBeLessThan(1500);
  });
});

describe("lists", () => {
  it("name the same blocks seen from queries and from keys, ascending", async () => {
    for (const by of ["gpu", "intervals"] as const) {
      const { lists } = createBlockMask(engine, MASKS["a window or documents"]!, { ...SIZES, by });
      const { queryBlocks, keyBlocks } = gridOf(SIZES);
      const entries = async (tensor: Tensor, owners: number, width: number): Promise<string[]> => {
        const all = await tensor.read();
        return Array.from({ length: SIZES.batch * SIZES.heads * owners }, (_, list) => list).flatMap((list) => {
          const head = list * (1 + width);
          const found = [...all.subarray(head + 1, head + 1 + all[head]!)];
          expect(found).toEqual(found.toSorted((a, b) => a - b));
          return found.map((entry) => (width === keyBlocks ? [Math.floor(list / owners), list % owners, entry >> 1, entry & 1] : [Math.floor(list / owners), entry >> 1, list % owners, entry & 1]).join());
        });
      };
      expect((await entries(lists.keysOf, queryBlocks, keyBlocks)).sort()).toEqual((await entries(lists.queriesOf, keyBlocks, queryBlocks)).sort());
    }
  });

  it("take memory for blocks and not for cells", () => {
    const before = engine.gpu.stats.heldBytes;
    const [queries, keys] = [4096, 4096];
    createBlockMask(engine, MASKS["every third"]!, { queries, keys, by: "gpu" });
    expect(engine.gpu.stats.heldBytes - before).toBeLessThan((queries * keys) / 64);
  });

  it("compile nothing for other numbers in captures, and one kernel for one structure", async () => {
    const table = capture(Int32Array.of(5, 9), [2], { name: "reach" });
    const mask = custom(maskMod`abs(q - kv) < ${table}[h]`);
    const sizes = { heads: 2, queries: 64, keys: 64, queryBlock: 16, keyBlock: 16, by: "gpu" } as const;
    const few = await createBlockMask(engine, mask, sizes).sparsity();
    const { pipelines } = engine.gpu.stats;
    table.set([50, 90]);
    const many = await createBlockMask(engine, mask, sizes).sparsity();
    expect(many.full).toBeGreaterThan(few.full);
    expect(engine.gpu.stats.pipelines).toBe(pipelines);
  });
});

describe("sparsity", () => {
  it("counts blocks: causal has a diagonal of partial ones", async () => {
    expect(await createBlockMask(engine, causal(), { queries: 128, keys: 128, queryBlock: 16, keyBlock: 16 }).sparsity()).toEqual({ blocks: 64, full: 28, partial: 8, empty: 28, skipped: 28 / 64 });
  });
});

describe("a slice", () => {
  const whole = createBlockMask(engine, MASKS["causal documents"]!, { queries: 160, keys: 160, queryBlock: 32, keyBlock: 32 });

  it.each([{ qOffset: 64, queries: 32 }, { qOffset: 80, queries: 80 }, { qOffset: 77, queries: 1 }, { qOffset: 70, queries: 20 }])("of %o shares the lists", async ({ qOffset, queries }) => {
    const part = whole.slice({ qOffset, queries });
    expect(part.lists.keysOf.storage).toBe(whole.lists.keysOf.storage);
    const [first, last] = [Math.floor(qOffset / 32), Math.floor((qOffset + queries - 1) / 32)];
    expect(await part.states()).toEqual((await whole.states()).subarray(first * 5, (last + 1) * 5));
  });

  it("that lies across blocks is told apart anew", async () => {
    const part = whole.slice({ qOffset: 25, queries: 40 });
    expect(part.lists.qOrigin).toBe(25);
    expect(await part.states()).toEqual(statesByCells(whole.mask, { ...SIZES, batch: 1, heads: 1, queries: 40, keys: 160, queryBlock: 32, keyBlock: 32, qOffset: 25, kvOffset: 0 }));
  });

  it("of rows beyond the mask is refused", () => {
    expect(() => whole.slice({ qOffset: 150, queries: 20 })).toThrow("[FLEX_BLOCK_MASK] a slice of positions 150 to 169; the block mask covers 0 to 159");
  });
});

describe("serialized", () => {
  const mask = and(causal(), document(ids));
  const sizes = { queries: 300, keys: 300, queryBlock: 64, keyBlock: 32 } as const;

  it("a block mask comes back the same, through JSON", async () => {
    const block = createBlockMask(engine, mask, sizes);
    const data = JSON.parse(JSON.stringify(await block.serialize())) as BlockMaskData;
    const again = loadBlockMask(engine, mask, data);
    expect(await again.states()).toEqual(await block.states());
    expect(await again.serialize()).toEqual(data);
  });

  it("loads for a mask of equal structure and numbers, and for no other", async () => {
    const data = await createBlockMask(engine, mask, sizes).serialize();
    loadBlockMask(engine, and(causal(), document(ids.slice())), data);
    const other = ids.slice();
    other[200] = 7;
    expect(() => loadBlockMask(engine, and(causal(), document(other)), data)).toThrow(/FLEX_BLOCK_MASK.*digest .*; the mask given has/);
    expect(() => loadBlockMask(engine, causal(), data)).toThrow(/FLEX_BLOCK_MASK/);
  });

  it("damaged data is refused", async () => {
    const data = await createBlockMask(engine, mask, sizes).serialize();
    expect(() => loadBlockMask(engine, mask, { ...data, runs: data.runs.replace(/\d+[epf]$/, "") })).toThrow(/holds \d+ blocks; its sizes ask for 50/);
    expect(() => loadBlockMask(engine, mask, { ...data, kind: "mask" } as unknown as BlockMaskData)).toThrow("the data says kind 'mask'");
  });
});

describe("pictures", () => {
  it("show full, partial and empty blocks", async () => {
    const block = createBlockMask(engine, causal(), { queries: 48, keys: 64, queryBlock: 16, keyBlock: 16 });
    expect((await block.draw()).split("\n").slice(1)).toEqual(["▒▒······", "██▒▒····", "████▒▒··"]);
    const svg = await block.toSVG();
    expect(svg).toContain('<rect x="0" y="16" width="16" height="8" fill-opacity="1"/>');
    expect(svg).toMatch(/^<svg .*<\/svg>$/s);
  });
});

describe("queries without a key", () => {
  it("are found and named, in partial blocks and in rows of blocks that are empty", async () => {
    const mask = custom(maskMod`kv <= q && kv >= 5 && q < 40`);
    const sizes = { queries: 100, keys: 70, queryBlock: 16, keyBlock: 16, qOffset: 2, kvOffset: 1 } as const;
    const cells = materialize(mask, sizes);
    const empty = Array.from({ length: 100 }, (_, q) => q).filter((q) => !cells.subarray(q * 70, (q + 1) * 70).includes(1));
    expect(await createBlockMask(engine, mask, sizes).emptyRows()).toEqual({ count: empty.length, first: { b: 0, h: 0, q: empty[0]! + 2 } });
  });

  it("are refused with their first one", async () => {
    const heads = capture(Int32Array.of(1, 0), [2], { name: "on" });
    const block = createBlockMask(engine, custom(maskMod`q != 33 || ${heads}[h] == 1`), { heads: 2, queries: 64, keys: 64 });
    await expect(block.refuseEmptyRows()).rejects.toThrow("[FLEX_EMPTY_ROW] the mask custom leaves 1 query without a key, first b = 0, h = 1, q = 33");
    await createBlockMask(engine, causal(), { queries: 64, keys: 64 }).refuseEmptyRows();
  });
});

describe("refusals", () => {
  it("name the size that is wrong", () => {
    expect(() => createBlockMask(engine, causal(), { queries: 0, keys: 64 })).toThrow("[FLEX_BLOCK_MASK] queries is 0; expected a whole number of at least 1");
    expect(() => createBlockMask(engine, causal(), { queries: 64, keys: 64, keyBlock: 48 })).toThrow("[FLEX_BLOCK_MASK] keyBlock is 48; expected 16, 32, 64, 128 or 256");
    expect(() => createBlockMask(engine, causal(), { queries: 64, keys: 64, qOffset: 0.5 })).toThrow("[FLEX_BLOCK_MASK] qOffset is 0.5; expected a whole number");
  });

  it("stale blocks are named, and rebuilt on demand", async () => {
    const table = Int32Array.from({ length: 64 }, (_, n) => Math.floor(n / 32));
    const mask = document(table);
    const block = createBlockMask(engine, mask, { queries: 64, keys: 64, queryBlock: 16, keyBlock: 16 });
    expect((await block.sparsity()).full).toBe(8);
    mask.ids.set(new Int32Array(64));
    expect(block.stale).toBe(true);
    expect(() => block.slice({ qOffset: 0, queries: 16 })).toThrow(/FLEX_STALE.*captures of the mask document\(\[64\]\) were set since/);
    expect((await block.rebuild().sparsity()).full).toBe(16);
  });
});

