import { describe, expect, test } from "vitest";
import type { Piece, Recipe } from "../../src/pretrained/family.ts";
import { assemble, dismantle, recipeSize } from "../../src/pretrained/piece.ts";

/** A small random sequence, the same at every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Tensors whose rows are dealt to pieces in any order, some of them transposed. */
function randomRecipe(seed: number): { readonly recipe: Recipe; readonly tensors: ReadonlyMap<string, Float32Array> } {
  const below = numbers(seed);
  const recipe: Piece[] = [];
  const tensors = new Map<string, Float32Array>();
  const columns = 1 + below(4);
  for (let t = 0; t < 1 + below(4); t++) {
    const transpose = below(2) === 1;
    const count = 1 + below(6);
    const shape = transpose ? [columns, count] : columns === 1 && below(2) === 1 ? [count] : [count, columns];
    const tensor = `t${t}`;
    tensors.set(tensor, Float32Array.from({ length: count * columns }, () => below(1000)));
    const order = Array.from({ length: count }, (_, i) => [below(1000), i] as const).sort((a, b) => a[0] - b[0]).map(([, i]) => i);
    const cut = below(count + 1);
    if (cut === 0 && below(2) === 1) recipe.push({ tensor, shape, transpose });
    else for (const rows of [order.slice(0, cut), order.slice(cut)]) recipe.push({ tensor, shape, transpose, rows: Uint32Array.from(rows) });
  }
  return { recipe, tensors };
}

describe("recipes", () => {
  test("dismantling what was assembled gives the tensors back", () => {
    for (let seed = 0; seed < 300; seed++) {
      const { recipe, tensors } = randomRecipe(seed);
      const ours = assemble(recipe, (name) => tensors.get(name)!);
      expect(ours.length).toBe(recipeSize(recipe));
      expect(dismantle(recipe, ours)).toEqual(new Map(tensors));
    }
  });

  test("rows are taken in the order in which they are named, of the transpose where one is meant", () => {
    const read = (): Float32Array => Float32Array.of(1, 2, 3, 4, 5, 6);
    expect([...assemble([{ tensor: "a", shape: [3, 2], rows: Uint32Array.of(2, 0) }], read)]).toEqual([5, 6, 1, 2]);
    expect([...assemble([{ tensor: "a", shape: [3, 2], transpose: true, rows: Uint32Array.of(1) }], read)]).toEqual([2, 4, 6]);
    expect([...assemble([{ tensor: "a", shape: [3, 2] }, { tensor: "a", shape: [3, 2], transpose: true }], read)]).toEqual([1, 2, 3, 4, 5, 6, 1, 3, 5, 2, 4, 6]);
  });

  test("tensors that two parameters share are put together", () => {
    const half = (...rows: number[]): Recipe => [{ tensor: "a", shape: [2, 1], rows: Uint32Array.from(rows) }];
    const into = dismantle(half(1), Float32Array.of(7));
    expect([...into.get("a")!]).toEqual([0, 7]);
    expect([...dismantle(half(0), Float32Array.of(5), into).get("a")!]).toEqual([5, 7]);
  });

  test("a row or a size that a tensor does not have is named", () => {
    expect(() => assemble([{ tensor: "a", shape: [2, 3], rows: Uint32Array.of(0, 2) }], () => new Float32Array(6))).toThrow("row 2 of tensor 'a', which has 2");
    expect(() => assemble([{ tensor: "a", shape: [2, 3] }], () => new Float32Array(5))).toThrow("tensor 'a' has 5 numbers; shape [2, 3] has 6");
    expect(() => assemble([{ tensor: "a", shape: [2, 3, 1], transpose: true }], () => new Float32Array(6))).toThrow("is to be transposed");
    expect(() => dismantle([{ tensor: "a", shape: [2, 3] }], new Float32Array(5))).toThrow("5 numbers for a recipe of 6");
  });
});
