import { allows, evaluate, isPlaceholder, scalar, type Mask, type Program } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import {
  alibi, alibiSlopes, and, attentionSink, causal, dilated, documents, globalLocal, neighborhood, prefixLm, prefixLmDocuments, relativeTable, slidingWindow, softcap, type Drawn,
} from "../src/index.ts";

type Rule = (q: number, kv: number) => boolean;

/** Every cell of a square from 0 on, against the rule in words. */
function expectCells(mask: Mask, positions: number, rule: Rule): void {
  const row = (one: Rule, q: number): string => Array.from({ length: positions }, (_, kv) => (one(q, kv) ? "█" : "·")).join("");
  const picture = (one: Rule): string[] => Array.from({ length: positions }, (_, q) => row(one, q));
  expect(picture((q, kv) => allows(mask, { b: 0, h: 0, q, kv }))).toEqual(picture(rule));
}

const at = (program: Program, score: number, where: { h?: number; q?: number; kv?: number } = {}, bindings?: Parameters<typeof evaluate>[2]): number =>
  Number(evaluate(program, { score, b: 0, h: 0, q: 0, kv: 0, ...where }, bindings)[0]);

describe("masks, in the words of their papers", () => {
  it("causal: nobody sees what comes later", () => {
    expectCells(causal(), 20, (q, kv) => kv <= q);
  });

  it("sliding window: the last W positions, itself among them", () => {
    expectCells(slidingWindow(5), 20, (q, kv) => [0, 1, 2, 3, 4].includes(q - kv));
  });

  it("prefix LM: the prefix both ways, the rest causal", () => {
    expectCells(prefixLm(6), 20, (q, kv) => kv < 6 || kv <= q);
  });

  it("documents: only one's own", () => {
    const ids = Int32Array.of(0, 0, 0, 1, 1, 2, 0, 0);
    expectCells(documents(ids), 8, (q, kv) => ids[q] === ids[kv]);
  });

  it("documents of each batch row: by that row's ids", () => {
    const mask = documents(Int32Array.of(0, 0, 1, 0, 1, 1), [2, 3]);
    expect([0, 1].map((b) => allows(mask, { b, h: 0, q: 1, kv: 0 }))).toEqual([true, false]);
  });

  it("dilated: every step-th key of the past, as many as the window has", () => {
    expectCells(dilated({ size: 3, step: 4 }), 30, (q, kv) => [0, 4, 8].includes(q - kv));
  });

  it("neighbourhood: the nearest k × k pixels, always as many", () => {
    const [width, height, size] = [7, 5, 3];
    // The start of the k nearest on a line of n: centred, or pushed inwards at an edge.
    const nearest = (x: number, n: number): number => [...Array(n - size + 1).keys()].toSorted((a, b) => Math.abs(a + 1 - x) - Math.abs(b + 1 - x))[0]!;
    const sees: Rule = (q, kv) => {
      const [x0, y0] = [nearest(q % width, width), nearest(Math.floor(q / width), height)];
      const [x, y] = [kv % width, Math.floor(kv / width)];
      return x >= x0 && x < x0 + size && y >= y0 && y < y0 + size;
    };
    expectCells(neighborhood({ width, height, size }), width * height, sees);
    const counts = Array.from({ length: width * height }, (_, q) => Array.from({ length: width * height }, (__, kv) => Number(sees(q, kv))).reduce((a, b) => a + b));
    expect(new Set(counts)).toEqual(new Set([9]));
  });

  it("neighbourhood: a canvas smaller than the square is seen whole, and nothing beyond it", () => {
    expectCells(neighborhood({ width: 2, height: 3, size: 7 }), 8, (q, kv) => q < 6 && kv < 6);
  });

  it("global and local: the globals see and are seen, the others look around", () => {
    expectCells(globalLocal({ globals: 2, reach: 3 }), 20, (q, kv) => q < 2 || kv < 2 || Math.abs(q - kv) <= 3);
  });

  it("attention sink: the first tokens and the last ones", () => {
    expectCells(attentionSink({ sinks: 2, size: 4 }), 20, (q, kv) => kv <= q && (kv < 2 || q - kv < 4));
  });

  it("prefix LM × documents: each document has its own prefix", () => {
    const [lengths, prefixes] = [[6, 4, 5], [3, 0, 5]];
    const starts = [0, 6, 10];
    const documentOf = (position: number): number => starts.findLastIndex((start) => start <= position);
    expectCells(prefixLmDocuments(lengths, prefixes), 15, (q, kv) => documentOf(q) === documentOf(kv) && (kv <= q || kv - starts[documentOf(kv)]! < prefixes[documentOf(kv)]!));
  });

  it("join with and", () => {
    expectCells(and(causal(), documents(Int32Array.of(0, 0, 1, 1))), 4, (q, kv) => kv <= q && (q < 2) === (kv < 2));
  });
});

describe("modifiers of scores", () => {
  it("softcap: the identity near 0, and never beyond the cap", () => {
    const bent = softcap(20);
    expect(at(bent, 0.01)).toBeCloseTo(0.01, 8);
    expect(at(bent, 30)).toBeCloseTo(20 * Math.tanh(1.5), 12);
    expect(at(bent, 1e6)).toBe(20);
  });

  it("softcap: the cap of a scalar may be set later", () => {
    const cap = scalar(1);
    const bent = softcap(cap);
    cap.value = 4;
    expect(at(bent, 100)).toBeCloseTo(4, 12);
  });

  it("ALiBi: slopes are a geometric series that ends at 2⁻⁸, for powers of two", () => {
    expect([...alibiSlopes(8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => 2 ** -n));
    expect(alibiSlopes(16)[0]).toBeCloseTo(2 ** -0.5, 7);
  });

  it("ALiBi: other counts take every other slope of the next power of two", () => {
    const [six, eight] = [alibiSlopes(6), alibiSlopes(8)];
    expect([...six.subarray(0, 4)]).toEqual([...alibiSlopes(4)]);
    expect([...six.subarray(4)]).toEqual([eight[0], eight[2]]);
  });

  it("ALiBi: the score falls by the slope for each position", () => {
    expect(at(alibi(8), 0.5, { h: 2, q: 10, kv: 4 })).toBeCloseTo(0.5 - 6 / 8, 12);
  });

  it("relative table: one number a head and distance, far ones sharing the last", () => {
    const program = relativeTable({ heads: 2, reach: 3 });
    const [table] = program.captures;
    expect(isPlaceholder(table!) && table!.learned).toBe(true);
    const numbers = new Map([[table!, Float64Array.from({ length: 14 }, (_, n) => n)]]);
    const of = (h: number, distance: number): number => at(program, 100, { h, q: 20, kv: 20 + distance }, numbers);
    expect([-9, -3, 0, 2, 9].map((distance) => of(1, distance))).toEqual([107, 107, 110, 112, 113]);
    expect(of(0, 0)).toBe(103);
  });
});

describe("pictures", () => {
  const all: Readonly<Record<string, Drawn>> = {
    causal: causal(), window: slidingWindow(4), prefix: prefixLm(5), documents: documents(Int32Array.from({ length: 16 }, (_, n) => n >> 2)), dilated: dilated({ size: 3, step: 2 }),
    neighborhood: neighborhood({ width: 4, height: 4, size: 3 }), global: globalLocal({ globals: 2, reach: 2 }), sink: attentionSink({ sinks: 2, size: 3 }),
    both: prefixLmDocuments([8, 8], [3, 2]), softcap: softcap(10), alibi: alibi(4), relative: relativeTable({ heads: 1, reach: 4 }),
  };

  it.each(Object.entries(all))("of %s are sixteen rows of sixteen cells, in text and in SVG alike", (_, drawn) => {
    const [title, ...rows] = drawn.draw().split("\n");
    expect(title).not.toBe("");
    expect(rows.map((row) => row.length)).toEqual(Array(16).fill(32));
    expect(new Set(rows.join("")).size).toBeGreaterThan(1);
    const svg = drawn.toSVG();
    expect(svg).toContain(`<title>${title!}</title>`);
    const filled = [...svg.matchAll(/width="(\d+)" height="8"/g)].reduce((sum, [, width]) => sum + Number(width) / 8, 0);
    expect(filled).toBe(rows.join("").replaceAll("·", "").length / 2);
  });

  it("show what was asked for: fewer cells, a shade for a cell that is allowed in part", () => {
    expect(causal().draw({ cells: 2, positions: 2 })).toBe("causal\n██··\n████");
    expect(causal().draw({ cells: 2, positions: 8 })).toBe("causal\n▒▒··\n██▒▒");
  });
});

describe("refusals", () => {
  it("name the modifier and the number", () => {
    expect(() => slidingWindow(0)).toThrow("[FLEX_EXTENT] size of slidingWindow is 0; expected a whole number of at least 1");
    expect(() => dilated({ size: 3, step: 0.5 })).toThrow("[FLEX_EXTENT] step of dilated is 0.5");
    expect(() => softcap(0)).toThrow("[FLEX_EXTENT] cap of softcap is 0; expected a number above 0");
    expect(() => prefixLmDocuments([4, 5], [1, 9])).toThrow("[FLEX_EXTENT] documents of [4, 5] positions with prefixes of [1, 9]");
  });
});
