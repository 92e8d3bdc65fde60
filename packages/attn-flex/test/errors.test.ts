import { capture, causal, custom, full, maskMod, pairMod, placeholder, scoreMod, type Program } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { createBlockMask, flexAttention, type FlexInputs, type ScoreMod } from "../src/index.ts";
import { tensorsOf } from "./attention.ts";
import { poisoned } from "./devices.ts";

const [engine, other] = [await poisoned(), await poisoned()];
const { q, k, v } = tensorsOf(engine, { heads: 2, queries: 16, keys: 16 });
const run = (inputs: Partial<FlexInputs>): unknown => flexAttention({ q, k, v, ...(inputs.blockMask || inputs.maskMod ? {} : { mask: full() }), ...inputs } as FlexInputs);

/** The whole message, since somebody is to be helped by it. */
function messageOf(attempt: () => unknown): string {
  try {
    attempt();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

describe("a modifier that cannot be read", () => {
  it("shows the place of a type error with a caret", () => {
    expect(messageOf(() => scoreMod`score + (kv <= q)`)).toBe(`[EXPR_TYPE] add was given bool; expected f32 or i32
    score + (kv <= q)
          ^
  fix: convert the condition with f32(…) or i32(…), or choose with ?:`);
  });
});

describe("scoreMod", () => {
  it("must be a program of the score", () => {
    expect(messageOf(() => run({ scoreMod: maskMod`kv <= q` }))).toBe("[FLEX_SCORE_MOD] scoreMod is a program of (b, h, q, kv) that yields bool; expected a program of (score, b, h, q, kv), or a score hook\n  fix: write it with scoreMod`score + ...`, or scoreMod(({ score }) => ...)");
    expect(messageOf(() => run({ scoreMod: pairMod`x0, x1` }))).toContain("a program of (x0, x1, position, pair, head)");
    expect(messageOf(() => run({ scoreMod: ((score: number) => score) as unknown as ScoreMod }))).toContain("[FLEX_SCORE_MOD] scoreMod is a function; expected a program");
  });
});

describe("the mask", () => {
  it("must be given, once", () => {
    expect(messageOf(() => flexAttention({ q, k, v } as unknown as FlexInputs))).toBe("[FLEX_MASK] no mask was given\n  fix: pass mask: full() to see everything, or join masks with and(...) and or(...)");
    expect(messageOf(() => run({ mask: full(), maskMod: causal() } as unknown as FlexInputs))).toContain("[FLEX_MASK] mask and maskMod were given; expected one of them");
  });

  it("must be boolean", () => {
    expect(messageOf(() => run({ maskMod: scoreMod`score` }))).toContain("[MASK_PROGRAM] the program yields f32; expected bool\n  fix: write it with maskMod");
  });
});

describe("an index beside its table", () => {
  const table = capture(new Float32Array(2 * 8), [2, 8], { name: "bias" });

  it("is refused where it certainly happens, with capture, axis, index and extent", () => {
    expect(messageOf(() => run({ scoreMod: scoreMod`score + ${table}[h, kv]` }))).toBe("[FLEX_INDEX] index 1 of capture 'bias', kv, is 15 at kv = 15; expected 0 to 7\n  fix: clamp the index, guard it with ?:, or make the table larger");
  });

  it("is no mistake where the mask says no", () => {
    run({ mask: custom(maskMod`kv < 8`), scoreMod: scoreMod`score + ${table}[h, kv]` });
    run({ mask: causal(), scoreMod: scoreMod`score + ${capture(new Float32Array(16), [16], { name: "distances" })}[q - kv]` });
  });

  it("is refused in a mask", () => {
    const allowed = capture(new Int32Array(8), [8], { name: "allowed" });
    expect(messageOf(() => run({ maskMod: maskMod`${allowed}[q] == 1` }))).toContain("[FLEX_INDEX] index 0 of capture 'allowed', q, is 15 at q = 15; expected 0 to 7");
  });
});

describe("tables", () => {
  const bias = placeholder([2], { name: "bias" });
  const mod: Program = scoreMod`score + ${bias}[h]`;

  it("must be there for placeholders", () => {
    expect(messageOf(() => run({ scoreMod: mod }))).toBe("[FLEX_TABLE] placeholder 'bias' of shape [2] has no numbers, and tables has no 'bias'\n  fix: pass tables: { bias: tensor }");
  });

  it("must have the shape of their capture", () => {
    expect(messageOf(() => run({ scoreMod: mod, tables: { bias: engine.zeros([3]) } }))).toContain("[FLEX_TABLE] table 'bias' has shape [3]; its capture has [2]");
  });

  it("must be read by a modifier", () => {
    expect(messageOf(() => run({ scoreMod: mod, tables: { bais: engine.zeros([2]) } }))).toContain("[FLEX_TABLE] tables has 'bais'; the score modifiers learn 'bias'");
    expect(messageOf(() => run({ tables: { bias: engine.zeros([2]) } }))).toContain("[FLEX_TABLE] tables has 'bias'; the score modifiers learn nothing");
  });

  it("must be on the device of q", () => {
    expect(messageOf(() => run({ scoreMod: mod, tables: { bias: other.zeros([2]) } }))).toBe("[FLEX_DEVICE] table 'bias' belongs to another device than q\n  fix: make it with the engine that made q: q.engine.tensor(...)");
    expect(messageOf(() => run({ k: other.zeros([1, 2, 16, 8]) }))).toContain("[FLEX_DEVICE] k belongs to another device than q");
  });
});

describe("a block mask", () => {
  it("must be on the device of q", () => {
    expect(messageOf(() => run({ blockMask: createBlockMask(other, causal(), { queries: 16, keys: 16 }) }))).toContain("[FLEX_DEVICE] the block mask belongs to another device than q\n  fix: create it with q.engine");
  });

  it("must cover the queries and keys of the call", () => {
    const blockMask = createBlockMask(engine, causal(), { queries: 16, keys: 16 });
    expect(messageOf(() => run({ blockMask, qOffset: 4 }))).toContain("[FLEX_BLOCK_MASK] the block mask covers queries 0 to 15 and keys 0 to 15; the call has queries 4 to 19 and keys 0 to 15");
    expect(messageOf(() => run({ blockMask: createBlockMask(engine, causal(), { queries: 16, keys: 8 }) }))).toContain("keys 0 to 7; the call has queries 0 to 15 and keys 0 to 15");
  });

  it("must be made for each head that the mask tells apart", () => {
    const heads = custom(maskMod`kv <= q + h`);
    expect(messageOf(() => run({ blockMask: createBlockMask(engine, heads, { queries: 16, keys: 16 }) }))).toBe("[FLEX_BLOCK_MASK] the block mask was made for heads = 1 and the call has 2, which the mask tells apart\n  fix: create it with heads: 2");
    expect(messageOf(() => run({ blockMask: createBlockMask(engine, causal(), { batch: 3, queries: 16, keys: 16 }) }))).toContain("made for batch = 3 and the call has 1\n  fix: create it with batch: 1, since the mask is the same for all");
  });

  it("must not be stale", () => {
    const limit = capture(Int32Array.of(4), [1], { name: "limit" });
    const blockMask = createBlockMask(engine, custom(maskMod`kv < ${limit}[0]`), { queries: 16, keys: 16 });
    limit.set([9]);
    expect(messageOf(() => run({ blockMask }))).toContain("[FLEX_STALE] captures of the mask custom were set since its blocks were told apart\n  fix: use blockMask.rebuild()");
  });

  it("must not read what has no numbers, nor by intervals what lives on the device", () => {
    const ids = placeholder([16], { name: "ids", type: "i32" });
    expect(messageOf(() => createBlockMask(engine, maskMod`${ids}[q] == ${ids}[kv]`, { queries: 16, keys: 16 }))).toContain("[FLEX_CAPTURES] the mask reads placeholder 'ids', which has no numbers of its own");
    const gate = capture(new Float32Array(16), [16], { name: "gate", learned: true });
    expect(messageOf(() => createBlockMask(engine, maskMod`${gate}[q] > 0`, { queries: 16, keys: 16, by: "intervals" }))).toContain("[FLEX_CAPTURES] the mask custom reads learned numbers, which live on the device");
  });
});

describe("a modifier that yields NaN", () => {
  it("is named by the anomaly mode, with the cell and the score it was given", async () => {
    const attempt = engine.detectAnomaly(() => run({ scoreMod: scoreMod`score + (q == 3 && kv == 2 ? sqrt(-1.0 - score * score) : 0.0)` }));
    await expect(attempt).rejects.toThrow(/^\[TENSOR_ANOMALY\] score hook 'scoreMod' gave NaN at b=0 h=0 q=3 kv=2 from score -?\d/);
  });
});
