import { allows, and, causal, custom, document, full, maskMod, prefix, window, type Mask } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { maskBounds, queryBounds, scoreProgram } from "../src/kernel-parts.ts";
import { boundValue } from "./bound-value.ts";

const [QUERIES, KEYS, Q_OFFSET, KV_OFFSET] = [13, 17, 6, 2];

const constants = { "params.qOffset": Q_OFFSET, "params.kvOffset": KV_OFFSET, "params.queries": QUERIES };
const rowOf = (bound: string, names: Readonly<Record<string, number>>): number => boundValue(bound, { ...names, ...constants });

const within = (row: number, { lo, hi }: { readonly lo: readonly string[]; readonly hi: readonly string[] }, names: Readonly<Record<string, number>>): boolean =>
  lo.every((bound) => row >= rowOf(bound, names)) && hi.every((bound) => row < rowOf(bound, names));

const cells = Array.from({ length: QUERIES * KEYS }, (_, n) => ({ i: n % QUERIES, j: Math.floor(n / QUERIES) }));

const exact: Readonly<Record<string, Mask>> = {
  "full": full(),
  "causal": causal(),
  "a window": window(3, 2),
  "a prefix": prefix(7),
  "a causal window": and(causal(), window(4, 4)),
  "a sliding window of one's own": custom(maskMod`kv <= q && q - kv < 5`),
  "a band after the query": custom(maskMod`abs(q + 2 - kv) <= 3`),
  "the keys between two positions": custom(maskMod`kv >= 5 && !(kv > 9)`),
  "one's own with others": and(custom(maskMod`kv > 3`), causal(), custom(maskMod`kv >= q - 6`)),
};
const documents = document(Int32Array.from({ length: 24 }, (_, n) => Math.floor(n / 7)));
const partial: Readonly<Record<string, Mask>> = {
  "documents, causal": and(documents, causal()),
  "a window with holes": custom(maskMod`q - kv < 6 && kv <= q && (q + kv) % 3 != 0`),
  "two of one's own": and(custom(maskMod`kv <= q && kv % 2 == 0`), custom(maskMod`kv > 4 && q % 5 != 0`)),
};

describe("the bounds of a mask", () => {
  it.each(Object.entries(exact))("say everything that it says, of keys and of queries: %s", (_, mask) => {
    expect(maskBounds(mask).exact).toBe(true);
    for (const { i, j } of cells) {
      const [q, kv] = [Q_OFFSET + i, KV_OFFSET + j];
      const allowed = allows(mask, { b: 0, h: 0, q, kv });
      expect(within(j, maskBounds(mask), { q }), `key row ${j} of query ${q}`).toBe(allowed);
      expect(within(i, queryBounds(mask), { kv }), `query row ${i} of key ${kv}`).toBe(allowed);
    }
  });

  it.each(Object.entries(partial))("say with its rest what it says, and cut cells by themselves: %s", (_, mask) => {
    const bounds = maskBounds(mask);
    const inside = cells.filter(({ i, j }) => within(j, bounds, { q: Q_OFFSET + i }));
    expect(bounds.exact).toBe(false);
    expect(inside.length).toBeLessThan(cells.length);
    for (const { i, j } of cells) {
      const at = { b: 0, h: 0, q: Q_OFFSET + i, kv: KV_OFFSET + j };
      expect(within(j, bounds, at) && bounds.rest.every((mask) => allows(mask, at))).toBe(allows(mask, at));
      if (allows(mask, at)) expect(within(i, queryBounds(mask), at)).toBe(true);
    }
  });

  it("grow with the query, and with the key, so that those of a tile's ends hold for all of it", () => {
    for (const mask of [...Object.values(exact), ...Object.values(partial)]) {
      for (let at = 0; at < 30; at++) {
        const { lo, hi } = maskBounds(mask);
        const rows = queryBounds(mask);
        for (const bound of [...lo, ...hi]) expect(rowOf(bound, { q: at + 1 })).toBeGreaterThanOrEqual(rowOf(bound, { q: at }));
        for (const bound of [...rows.lo, ...rows.hi]) expect(rowOf(bound, { kv: at + 1 })).toBeGreaterThanOrEqual(rowOf(bound, { kv: at }));
      }
    }
  });

  it("leave to the kernels only what they do not say", () => {
    expect(scoreProgram(exact["a sliding window of one's own"]!, []).plain).toBe(true);
    expect(scoreProgram(partial["documents, causal"]!, []).mask!.key).toBe(scoreProgram(documents, []).mask!.key);
  });
});
