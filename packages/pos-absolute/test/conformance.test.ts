import type { EmbedHook } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { learned, sinusoidal, sinusoids } from "../src/index.ts";

const dims = { width: 7, layers: 1, context: 50, vocab: 2, dropout: 0, causal: true, heads: 1, headDim: 7 };
const tableOf = (hook: EmbedHook): Float32Array => (hook.params.table.init as { readonly data: Float32Array }).data;

describe("sinusoidal positions", () => {
  it("are the paper's waves, for odd widths too, and fixed", () => {
    const hook = sinusoidal.create({}, dims).hooks[0] as EmbedHook;
    const table = tableOf(hook);
    expect(table[0]).toBe(0);
    expect(table[1]).toBe(1);
    expect(table[7 * 3 + 4]).toBeCloseTo(Math.sin(3 / 10_000 ** (4 / 7)), 6);
    expect(table[7 * 3 + 3]).toBeCloseTo(Math.cos(3 / 10_000 ** (2 / 7)), 6);
    expect(hook.params.table.trainable).toBe(false);
    expect(hook.tokenScale).toBeCloseTo(Math.sqrt(7), 12);
  });

  it("add to a scaled token as their law says", () => {
    const hook = sinusoidal.create({ scaleTokens: false }, dims).hooks[0] as EmbedHook;
    const table = Float64Array.from(tableOf(hook));
    const x = Float64Array.from({ length: 7 }, (_, i) => i);
    expect([...hook.reference(x, 4, { table })]).toEqual(Array.from(x, (v, i) => v + table[4 * 7 + i]!));
    expect(sinusoids(2, 2)[2]).toBe(Math.sin(1));
  });
});

describe("learned positions", () => {
  it("are a trainable table of the context, normal at the start, that decays like other tables", () => {
    const hook = learned.create({ std: 0.5 }, dims).hooks[0] as EmbedHook;
    expect(hook.params.table).toMatchObject({ shape: [50, 7], init: { kind: "normal", std: 0.5 }, decay: true });
    expect(hook.tokenScale).toBe(1);
  });
});
