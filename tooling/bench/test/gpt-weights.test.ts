import { expect, test } from "vitest";
import { gptProblem } from "../cases/gpt-problem.ts";
import { weightFor } from "../ours/gpt-weights.ts";

const problem = gptProblem({ layers: 2, width: 4, heads: 2, context: 3, batch: 1, vocab: 5 });

test("a matrix [in, out] of the problem becomes our [out, in], and tables and vectors stay as they are", () => {
  const theirs = problem.weights["1.up.weight"]!;
  const ours = weightFor("blocks.1.feedForward.up.weight", problem);
  const [inputs = 0, outputs = 0] = theirs.shape;
  for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) expect(ours[o * inputs + i]).toBe(theirs.data[i * outputs + o]);
  expect(weightFor("embedding.weight", problem)).toBe(problem.weights["wte"]!.data);
  expect(weightFor("position.learned.table", problem)).toBe(problem.weights["wpe"]!.data);
  expect(weightFor("blocks.0.attention.qkv.bias", problem)).toBe(problem.weights["0.qkv.bias"]!.data);
});

test("every weight of the problem has one parameter of ours", () => {
  const inLayer = ["attention.norm", "attention.qkv", "attention.out", "feedForward.norm", "feedForward.up", "feedForward.down"];
  const layered = [0, 1].flatMap((n) => inLayer.flatMap((part) => ["weight", "bias"].map((kind) => `blocks.${String(n)}.${part}.${kind}`)));
  const names = ["embedding.weight", "embedding.head", "position.learned.table", "norm.weight", "norm.bias", ...layered];
  const sorted = (data: Float32Array): string => [...data].sort((a, b) => a - b).join(" ");
  const given = names.map((name) => sorted(weightFor(name, problem)));
  const wanted = Object.values(problem.weights).map(({ data }) => sorted(data));
  expect(given.sort()).toEqual(wanted.sort());
});

test("a parameter that the problem lacks is refused by name, not left at its own initial value", () => {
  expect(() => weightFor("blocks.0.attention.sink.weight", problem)).toThrow("no counterpart of parameter 'blocks.0.attention.sink.weight'");
  expect(() => weightFor("blocks.2.feedForward.up.weight", problem)).toThrow("'blocks.2.feedForward.up.weight'");
});
