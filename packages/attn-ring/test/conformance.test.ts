import { afterAll, describe, expect, it } from "vitest";
import { and, capture, causal, custom, document, full, maskMod, pairMod, prefix, scoreHook, scoreMod, window, type Mask, type ScoreHook } from "@polyhead/core";
import { LAYOUTS, wireBytes, type RingLayout, type RingScheme } from "../src/index.ts";
import { greatestError, World, type WholeProblem } from "./world.ts";

const world = new World();
afterAll(() => { world.dispose(); });

const TOLERANCE = 1e-5;
const small = { heads: 4, kvHeads: 2, d: 8, length: 37, mask: causal() };

const slopes = capture(Float32Array.of(0.5, 0.25, 0.125, 0.0625), [4], { name: "slopes" });
const alibi: ScoreHook = scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (kv - q)` });
const distances = capture(new Float32Array(4 * 17), [4, 17], { name: "distances", learned: true });
const relative: ScoreHook = scoreHook({ id: "relative", program: scoreMod`score + ${distances}[h, clamp(kv - q, -8, 8) + 8]` });
const documents = document(Int32Array.from({ length: 64 }, (_, i) => (i < 11 ? 0 : i < 30 ? 1 : 2)));
const rotation = pairMod`angle = f32(position) * 0.7 / f32(1 + 4 * pair); x0 * cos(angle) - x1 * sin(angle), x0 * sin(angle) + x1 * cos(angle)`;

interface Way {
  readonly layout: RingLayout;
  readonly ranks: number;
  readonly scheme?: RingScheme;
}

const every = (...ranks: number[]): Way[] => LAYOUTS.flatMap((layout) => ranks.map((n) => ({ layout, ranks: n })));

/** Compares with one device, way by way. */
async function check(problem: WholeProblem, ways: readonly Way[], tolerance = TOLERANCE): Promise<void> {
  const want = await world.alone(problem);
  for (const { ranks, ...way } of ways) {
    const error = greatestError(await world.together(problem, ranks, way), want);
    expect({ ...way, ranks, error, right: error <= tolerance }).toEqual({ ...way, ranks, error, right: true });
  }
}

describe("a ring finds what one device finds, outputs and gradients:", () => {
  it("causal with ALiBi, on 1 to 4 ranks in all layouts, two batch rows", () => check({ ...small, batch: 2, score: [alibi] }, [...every(2, 3, 4), { layout: "zigzag", ranks: 1 }]));

  it("on 8 ranks, with fewer than four tokens a run", () => check({ ...small, length: 29 }, every(8)));

  const masks: readonly (readonly [string, Mask, readonly ScoreHook[]])[] = [
    ["full", full(), [alibi]],
    ["window", window(6, 2), []],
    ["prefix", prefix(9), []],
    ["documents under a causal mask, with a learned table by distance", and(causal(), documents), [relative]],
    ["a mask of one's own", custom(maskMod`kv <= q || (kv % 5 == 0 && h > 0)`), []],
  ];
  for (const [name, mask, score] of masks) it(`${name}, on 3 ranks in all layouts`, () => check({ ...small, mask, score }, every(3)));

  it("heads of 7 and 6 of one key head each, and rows that no rank gives a key", () => check({ ...small, kvHeads: 4, d: 7, dv: 6, mask: and(causal(), custom(maskMod`q % 6 != 2`)) }, [{ layout: "zigzag", ranks: 3 }, { layout: "striped", ranks: 2 }]));

  it("rows that RoPE turned by their global positions", () => check({ ...small, rotation }, [{ layout: "zigzag", ranks: 3 }, { layout: "striped", ranks: 2 }, { layout: "zigzag", ranks: 2, scheme: "heads" }]));

  it("f16 keys and values", () => check({ ...small, dtype: "f16" }, [{ layout: "zigzag", ranks: 2 }, { layout: "striped", ranks: 3 }]));

  it("padding left and right", () => check({ ...small, batch: 3, mask: full(), starts: [0, 5, 20], lengths: [37, 30, 20] }, every(2)));
});

describe("attention by heads finds what one device finds:", () => {
  const byHeads = (...ranks: number[]): Way[] => every(...ranks).map((way) => ({ ...way, scheme: "heads" as const }));

  it("causal with ALiBi, on 2 and 4 ranks in all layouts", () => check({ ...small, kvHeads: 4, batch: 2, score: [alibi] }, byHeads(2, 4)));

  it("a mask that tells heads apart, with a learned table", () => check({ ...small, mask: and(causal(), custom(maskMod`kv % 3 != h`)), score: [relative] }, [{ layout: "zigzag", ranks: 2, scheme: "heads" }]));
});

describe("what a ring sends", () => {
  it("is what the planner says, forward and backward, and a window skips what no query needs", async () => {
    const total: Record<string, number> = {};
    for (const [mask, score] of [[full(), [alibi]], [window(6, 2), []]] as const) {
      for (const layout of LAYOUTS) {
        const { sentBytes } = await world.together({ ...small, mask, score }, 3, { layout });
        const problem = { ranks: 3, tokens: small.length, heads: 4, kvHeads: 2, headDim: 8, elementBytes: 4, mask, layout };
        const [forward, backward] = [wireBytes(problem, "forward"), wireBytes(problem, "backward")];
        expect({ mask: mask.kind, layout, sentBytes }).toEqual({ mask: mask.kind, layout, sentBytes: forward.sent.map((bytes, rank) => bytes + backward.sent[rank]!) });
        total[`${mask.kind} ${layout}`] = sentBytes.reduce((sum, bytes) => sum + bytes, 0);
      }
    }
    expect(total["window contiguous"]).toBeLessThan(total["full contiguous"]!);
    expect(total["window striped"]).toBe(total["full striped"]);
  });
});

describe("the comparison", () => {
  it("catches a kernel that takes rows for positions", async () => {
    const problem = { ...small, length: 36, score: [alibi] };
    const want = await world.alone(problem);
    // The rows are those of one layout, the positions those of another.
    const faults = [["zigzag", "contiguous"], ["striped", "contiguous"], ["contiguous", "striped"]] as const;
    for (const [layout, taken] of faults) {
      expect(greatestError(await world.together(problem, 2, { layout, taken }), want)).toBeGreaterThan(0.01);
      expect(greatestError(await world.together(problem, 2, { layout }), want)).toBeLessThanOrEqual(TOLERANCE);
    }
  });
});
