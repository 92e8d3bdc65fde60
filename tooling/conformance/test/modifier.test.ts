import { allows, evaluate } from "@polyhead/core";
import { printProgram } from "@polyhead/expr";
import { expect, test } from "vitest";
import { modifierOf, type Modifier } from "../onnx/graph/modifier.ts";

const [B, H, L, S] = [2, 3, 4, 5];
const SCORES = [-2.5, -0.5, 0, 0.5, 1.5, 7];

type Numbers = readonly (number | string | boolean)[];
type Initializer = readonly [name: string, dtype: string, shape: readonly number[], data: Numbers];
type Node = readonly [op: string, inputs: string, output: string, attributes?: Record<string, unknown>];

/** A subgraph from `x` to `y` as the index spells one; inputs are names with blanks between, `_` for one left out. */
function graph(nodes: readonly Node[], initializers: readonly Initializer[] = [], dtype = "F32"): unknown {
  return {
    inputs: [{ name: "x", dtype, shape: ["B", "H", "L", "S"] }],
    outputs: [{ name: "y", dtype, shape: ["B", "H", "L", "S"] }],
    initializers: initializers.map(([name, type, shape, data]) => ({ name, dtype: type, shape, data })),
    nodes: nodes.map(([op, inputs, output, attributes = {}]) => ({ op, inputs: inputs.split(" ").map((name) => (name === "_" ? "" : name)), outputs: [output], attributes })),
  };
}

const f32 = (name: string, value: number | string): Initializer => [name, "F32", [], [value]];
const i64 = (name: string, ...data: number[]): Initializer => [name, "I64", [data.length], data];
const whole = (name: string, value: number): Initializer => [name, "I64", [], [value]];

/** Positions of queries `[1, 1, L, 1]` as `q` and of keys `[1, 1, 1, S]` as `k`, computed from the shape of x. */
const PLACES: readonly Node[] = [
  ["Shape", "x", "shape"],
  ["Gather", "shape i2", "L", { axis: 0 }],
  ["Gather", "shape i3", "S", { axis: 0 }],
  ["Range", "i0 L i1", "qs"],
  ["Reshape", "qs column", "q"],
  ["Range", "i0 S i1", "ks"],
  ["Unsqueeze", "ks first", "k"],
];
const PLACED: readonly Initializer[] = [whole("i0", 0), whole("i1", 1), whole("i2", 2), whole("i3", -1), i64("column", 1, 1, -1, 1), i64("first", 0, 1, 2)];

type Formula = (x: number, b: number, h: number, q: number, k: number) => number;

/** −∞ where the mask forbids a key. */
function valueOf({ program, mask }: Modifier, score: number, at: { b: number; h: number; q: number; kv: number }): number {
  return allows(mask, at) ? evaluate(program, { score, ...at })[0]! : -Infinity;
}

function expectEverywhere(given: unknown, formula: Formula): Modifier {
  const modifier = modifierOf(given, "score_mod", [B, H, L, S]);
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let q = 0; q < L; q++) for (let kv = 0; kv < S; kv++) for (const score of SCORES) {
    const [got, want] = [valueOf(modifier, score, { b, h, q, kv }), formula(score, b, h, q, kv)];
    const where = `x ${score} at ${b}, ${h}, ${q}, ${kv}: ${got}, wanted ${want}`;
    // Known numbers are f32.
    if (Number.isFinite(want)) expect(Math.abs(got - want), where).toBeLessThan(1e-6 * (1 + Math.abs(want)));
    else expect(got, where).toBe(want);
  }
  return modifier;
}

const refusal = (nodes: readonly Node[], initializers: readonly Initializer[] = []): (() => Modifier) => () => modifierOf(graph(nodes, initializers), "score_mod", [B, H, L, S]);

test("what a subgraph sends to −∞ by place alone becomes the mask, and no table", () => {
  const { program, mask } = expectEverywhere(
    graph([...PLACES, ["GreaterOrEqual", "q k", "seen"], ["Where", "seen x low", "y"]], [...PLACED, f32("low", "-Infinity")]),
    (x, _b, _h, q, k) => (q >= k ? x : -Infinity),
  );
  expect(printProgram(program)).toBe("score");
  expect(mask.kind === "custom" && printProgram(mask.program)).toBe("(kv <= q)");
});

test("a mask that depends on the score stays with the score", () => {
  const { mask } = expectEverywhere(graph([["Greater", "x zero", "up"], ["Where", "up x low", "y"]], [f32("zero", 0), f32("low", "-Infinity")]), (x) => (x > 0 ? x : -Infinity));
  expect(mask.kind).toBe("full");
});

test("−∞ stays −∞ under sums, positive factors, minima and choices, and has the limits of curves", () => {
  const low: readonly Node[] = [...PLACES, ["Less", "q k", "future"], ["Where", "future low x", "z"]];
  const given = [...PLACED, f32("low", "-Infinity"), f32("two", 2), f32("minus", -3)];
  const future = (q: number, k: number, x: number, then: number): number => (q < k ? -Infinity : x + then);
  expectEverywhere(graph([...low, ["Add", "two z", "y"]], given), (x, _b, _h, q, k) => future(q, k, x, 2));
  expectEverywhere(graph([...low, ["Sub", "z two", "y"]], given), (x, _b, _h, q, k) => future(q, k, x, -2));
  expectEverywhere(graph([...low, ["Mul", "z two", "y"]], given), (x, _b, _h, q, k) => future(q, k, 2 * x, 0));
  expectEverywhere(graph([...low, ["Div", "z two", "y"]], given), (x, _b, _h, q, k) => future(q, k, x / 2, 0));
  expectEverywhere(graph([...low, ["Min", "z two minus", "y"]], given), (x, _b, _h, q, k) => (q < k ? -Infinity : Math.min(x, 2, -3)));
  expectEverywhere(graph([...low, ["Max", "z minus", "y"]], given), (x, _b, _h, q, k) => (q < k ? -3 : Math.max(x, -3)));
  expectEverywhere(graph([...low, ["Tanh", "z", "y"]], given), (x, _b, _h, q, k) => (q < k ? -1 : Math.tanh(x)));
  expectEverywhere(graph([...low, ["Exp", "z", "y"]], given), (x, _b, _h, q, k) => (q < k ? 0 : Math.exp(x)));
  expectEverywhere(graph([...low, ["Less", "z minus", "deep"], ["Where", "deep two z", "y"]], given), (x, _b, _h, q, k) => (q < k || x < -3 ? 2 : x));
  expectEverywhere(graph([...low, ["Equal", "z low", "gone"], ["Where", "gone two z", "y"]], given), (x, _b, _h, q, k) => (q < k ? 2 : x));
  expect(refusal([...low, ["Mul", "z minus", "y"]], given)).toThrow("a product of −∞ and what is not positive throughout");
  expect(refusal([...low, ["Abs", "z", "y"]], given)).toThrow("Abs of −∞");
  expect(refusal([...low, ["Sub", "two z", "y"]], given)).toThrow("a difference from −∞");
});

test("a mask given as a table of numbers forbids where it is −∞ and adds elsewhere", () => {
  const data = Array.from({ length: L * S }, (_, i) => (i % 3 === 0 ? "-Infinity" : i / 4));
  expectEverywhere(graph([["Add", "x m", "y"]], [["m", "F32", [L, S], data]]), (x, _b, _h, q, k) => x + Number(data[q * S + k]));
});

test("distances are computed from the shape; slopes by head are a table", () => {
  const slopes = [0.5, 0.25, 0.125];
  const { program } = expectEverywhere(
    graph([...PLACES, ["Sub", "k q", "far"], ["Cast", "far", "farther", { to: 1 }], ["Mul", "slopes farther", "bias"], ["Add", "x bias", "y"]], [...PLACED, ["slopes", "F32", [H, 1, 1], slopes]]),
    (x, _b, h, q, k) => x + slopes[h]! * (k - q),
  );
  expect(program.captures.map(({ shape }) => shape)).toEqual([[H]]);
});

test("initializers broadcast from the right, whatever their rank", () => {
  const shapes = [[], [1], [S], [L, 1], [H, 1, 1], [B, 1, 1, 1], [1, H, L, 1], [B, H, L, S]];
  for (const shape of shapes) {
    const [nb = 1, nh = 1, nq = 1, nk = 1] = [1, 1, 1, 1, ...shape].slice(-4);
    const data = Array.from({ length: nb * nh * nq * nk }, (_, i) => Math.sin(i + 1));
    const entry = (b: number, h: number, q: number, k: number): number => data[((b % nb) * nh + (h % nh)) * nq * nk + (q % nq) * nk + (k % nk)]!;
    expectEverywhere(graph([["Mul", "t x", "y"]], [["t", "F32", shape, data]]), (x, b, h, q, k) => x * entry(b, h, q, k));
  }
});

test("a learned bias is gathered by clipped distance and by head", () => {
  const table = Array.from({ length: H * 5 }, (_, i) => Math.cos(3 * i));
  const nodes: readonly Node[] = [
    ...PLACES, ["Sub", "k q", "far"], ["Clip", "far low high", "near"], ["Add", "near two", "at"],
    ["Gather", "table at", "rows", { axis: 1 }], ["Squeeze", "rows gone", "bias"], ["Add", "x bias", "y"],
  ];
  const { program } = expectEverywhere(
    graph(nodes, [...PLACED, whole("low", -2), whole("high", 2), whole("two", 2), i64("gone", 1, 2), ["table", "F32", [H, 5], table]]),
    (x, _b, h, q, k) => x + table[h * 5 + Math.min(2, Math.max(-2, k - q)) + 2]!,
  );
  // The table itself, and not what it would be at every place.
  expect(program.captures.map(({ shape }) => shape)).toEqual([[H, 5]]);
});

test("GatherElements and negative indices read from the end of an axis", () => {
  const table = Array.from({ length: L * 7 }, (_, i) => i * i);
  const at = Array.from({ length: L * S }, (_, i) => ((i * 5) % 14) - 7);
  expectEverywhere(graph([["GatherElements", "table at", "bias", { axis: 1 }], ["Add", "x bias", "y"]], [["table", "F32", [L, 7], table], ["at", "I64", [L, S], at]]), (x, _b, _h, q, k) => x + table[q * 7 + ((at[q * S + k]! + 7) % 7)]!);
});

test("a logarithm of distances is computed as ONNX does it, before a floor can fall to the other side", () => {
  const nodes: readonly Node[] = [
    ...PLACES, ["Sub", "q k", "far"], ["Abs", "far", "apart"], ["Cast", "apart", "f", { to: 1 }], ["Max", "f one", "g"], ["Log", "g", "log"], ["Div", "log log2", "octaves"],
    ["Floor", "octaves", "bucket"], ["Add", "x bucket", "y"],
  ];
  const { program } = expectEverywhere(graph(nodes, [...PLACED, f32("one", 1), f32("log2", Math.log(2))]), (x, _b, _h, q, k) => x + Math.floor(Math.fround(Math.fround(Math.log(Math.max(1, Math.abs(q - k)))) / Math.fround(Math.log(2)))));
  expect(printProgram(program)).not.toMatch(/log|floor/);
});

const CURVES: readonly (readonly [string, (x: number) => number])[] = [
  ["Neg", (x) => -x], ["Abs", Math.abs], ["Exp", Math.exp], ["Tanh", Math.tanh], ["Sigmoid", (x) => 1 / (1 + Math.exp(-x))], ["Sin", Math.sin], ["Cos", Math.cos],
  ["Floor", Math.floor], ["Ceil", Math.ceil], ["Sign", Math.sign], ["Relu", (x) => Math.max(0, x)], ["Identity", (x) => x],
  ["Round", (x) => ({ "-2.5": -2, "-0.5": -0, "0.5": 0, "1.5": 2 })[String(x)] ?? x],
  ["Erf", (x) => ({ "-2.5": -0.999593048, "-0.5": -0.520499878, "0.5": 0.520499878, "1.5": 0.966105146, "7": 1 })[String(x)] ?? 0],
];

test.each(CURVES)("%s acts on scores, and on known numbers the same way", (op, formula) => {
  expectEverywhere(graph([[op, "x", "y"]]), (x) => formula(x));
  const numbers = [...SCORES.slice(0, S - 1), 7];
  expectEverywhere(graph([[op, "t", "z"], ["Add", "x z", "y"]], [["t", "F32", [S], numbers]]), (x, _b, _h, _q, k) => x + formula(numbers[k]!));
});

test("Log, Sqrt and Reciprocal act where they are defined", () => {
  const shifted = (op: string): unknown => graph([["Abs", "x", "a"], ["Add", "a one", "p"], [op, "p", "y"]], [f32("one", 1)]);
  expectEverywhere(shifted("Log"), (x) => Math.log(Math.abs(x) + 1));
  expectEverywhere(shifted("Sqrt"), (x) => Math.sqrt(Math.abs(x) + 1));
  expectEverywhere(shifted("Reciprocal"), (x) => 1 / (Math.abs(x) + 1));
});

test("Pow with a whole exponent takes any base", () => {
  expectEverywhere(graph([["Pow", "x e", "y"]], [f32("e", 3)]), (x) => x ** 3);
});

test("Clip bounds from both sides, either or none", () => {
  const given = [f32("low", -1), f32("high", 1), f32("none", "-Infinity")];
  expectEverywhere(graph([["Clip", "x low high", "y"]], given), (x) => Math.min(1, Math.max(-1, x)));
  expectEverywhere(graph([["Clip", "x _ high", "y"]], given), (x) => Math.min(1, x));
  expectEverywhere(graph([["Clip", "x none", "y"]], given), (x) => x);
});

test("integer division cuts towards zero, and Mod has the sign of its divisor or, with fmod, of its dividend", () => {
  const distance: readonly Node[] = [...PLACES, ["Sub", "k q", "far"]];
  const end: readonly Node[] = [["Cast", "n", "f", { to: 1 }], ["Add", "x f", "y"]];
  const given = [...PLACED, whole("three", 3), whole("minus", -3)];
  const mod = (a: number, n: number): number => a - n * Math.floor(a / n);
  expectEverywhere(graph([...distance, ["Div", "far three", "n"], ...end], given), (x, _b, _h, q, k) => x + Math.trunc((k - q) / 3));
  expectEverywhere(graph([...distance, ["Mod", "far three", "n"], ...end], given), (x, _b, _h, q, k) => x + mod(k - q, 3));
  expectEverywhere(graph([...distance, ["Mod", "far minus", "n"], ...end], given), (x, _b, _h, q, k) => x + mod(k - q, -3));
  expectEverywhere(graph([...distance, ["Mod", "far three", "n", { fmod: 1 }], ...end], given), (x, _b, _h, q, k) => x + ((k - q) % 3));
});

test("conditions combine", () => {
  const nodes: readonly Node[] = [...PLACES, ["LessOrEqual", "k q", "past"], ["Equal", "k i0", "first"], ["Xor", "past first", "one"], ["Not", "one", "same"], ["Or", "same first", "any"], ["And", "any past", "seen"], ["Where", "seen x low", "y"]];
  expectEverywhere(graph(nodes, [...PLACED, f32("low", "-Infinity")]), (x, _b, _h, q, k) => {
    const [past, first] = [k <= q, k === 0];
    return ((past === first || first) && past ? x : -Infinity);
  });
});

test("shapes: Trilu, Slice, Transpose, Tile, Concat, Expand and ConstantOfShape move what is known", () => {
  const square = Array.from({ length: S * L }, (_, i) => i + 1);
  const t: Initializer = ["t", "F32", [S, L], square];
  const transposedPlus = (extra: readonly Node[], more: readonly Initializer[] = []): unknown => graph([["Transpose", "t", "u", { perm: [1, 0] }], ...extra, ["Add", "x v", "y"]], [t, ...more]);
  const entry = (q: number, k: number): number => square[k * L + q]!;
  expectEverywhere(transposedPlus([["Trilu", "u _", "v", { upper: 0 }]]), (x, _b, _h, q, k) => x + (k <= q ? entry(q, k) : 0));
  expectEverywhere(transposedPlus([["Trilu", "u one", "v"]], [whole("one", 1)]), (x, _b, _h, q, k) => x + (k >= q + 1 ? entry(q, k) : 0));
  expectEverywhere(transposedPlus([["Slice", "u from to axes steps", "v"]], [i64("from", -1), i64("to", -(2 ** 63)), i64("axes", 1), i64("steps", -1)]), (x, _b, _h, q, k) => x + entry(q, S - 1 - k));
  expectEverywhere(transposedPlus([["Slice", "u from to axes", "row"], ["Tile", "row times", "v"]], [i64("from", 2), i64("to", 3), i64("axes", 0), i64("times", L, 1)]), (x, _b, _h, _q, k) => x + entry(2, k));
  const ends = [i64("from", 1), i64("to", 1), i64("axes", 0), i64("zero", 0), i64("end", 2 ** 63)];
  expectEverywhere(transposedPlus([["Slice", "u from end axes", "below"], ["Slice", "u zero to axes", "above"], ["Concat", "below above", "v", { axis: 0 }]], ends), (x, _b, _h, q, k) => x + entry((q + 1) % L, k));
  expectEverywhere(graph([["Shape", "x", "shape", { start: 2 }], ["ConstantOfShape", "shape", "c", { value: { dtype: "F32", shape: [1], data: [0.5] } }], ["Shape", "x", "whole"], ["Expand", "c whole", "d"], ["Add", "x d", "y"]]), (x) => x + 0.5);
});

test("scores reshaped and back are themselves; at another place they are refused", () => {
  expectEverywhere(graph([["Reshape", "x flat", "f"], ["Reshape", "f shape", "y"]], [i64("flat", -1), i64("shape", B, H, L, S)]), (x) => x);
  expect(() => modifierOf(graph([["Transpose", "x", "y", { perm: [1, 0, 2, 3] }]]), "score_mod", [2, 2, 2, 2])).toThrow("reads the scores at another place along axis 0");
});

test("Constant in each of its spellings", () => {
  const spellings = [{ value_float: 0.5 }, { value_floats: [0.5] }, { value: { dtype: "F32", shape: [], data: [0.5] } }];
  for (const spelling of spellings) expectEverywhere(graph([["Identity", "x", "z"], ["Constant", "_", "c", spelling], ["Add", "z c", "y"]]), (x) => x + 0.5);
});

test("f64 and f16 subgraphs are computed in f32", () => {
  for (const dtype of ["F64", "F16"]) expectEverywhere(graph([["Mul", "x c", "y"]], [["c", dtype, [], [0.25]]], dtype), (x) => 0.25 * x);
});

test.each<[string, readonly Node[], readonly Initializer[], string]>([
  ["a sum over a row", [["ReduceSum", "x axes", "y"]], [i64("axes", 3)], "operator ReduceSum in a subgraph"],
  ["shapes that do not broadcast", [["Add", "x t", "y"]], [["t", "F32", [3], [1, 2, 3]]], "Add of shapes [2, 3, 4, 5] and [3], which do not broadcast"],
  ["a result of another shape", [["Add", "x t", "y"]], [["t", "F32", [2, 1, 1, 1, 1], [1, 2]]], "score_mod gives [2, 2, 3, 4, 5]; expected [2, 3, 4, 5]"],
  ["a result that is no score", [["Greater", "x t", "y"]], [f32("t", 0)], "score_mod gives BOOL; expected floats"],
  ["mixed kinds", [["Add", "x t", "y"]], [whole("t", 1)], "Add of F32 and I64"],
  ["an index outside", [["Gather", "t at", "r"], ["Add", "x r", "y"]], [["t", "F32", [2], [1, 2]], whole("at", 2)], "Gather at 2 of an axis of 2"],
  ["an index by score", [["Cast", "x", "at", { to: 7 }], ["Gather", "t at", "r"], ["Squeeze", "r", "y"]], [["t", "F32", [2], [1, 2]]], "Gather at places that depend on the scores"],
  ["a NaN", [["Add", "x t", "y"]], [f32("t", "NaN")], "the number NaN in a subgraph"],
  ["a name that nothing gives", [["Add", "x t", "y"]], [], "Add reads 't', which nothing gives"],
  ["a reshape to another size", [["Reshape", "x to", "y"]], [i64("to", 7, -1)], "Reshape of [2, 3, 4, 5] to [7, -1]"],
  ["a 64-bit index into a shape", [["Cast", "x", "i", { to: 7 }], ["Add", "i t", "j"], ["Cast", "j", "y", { to: 1 }]], [["t", "I64", [2, 1, 1, 1], [1, 2 ** 40]]], "integers beyond 32 bits in a subgraph"],
  ["an overflow", [["Add", "t t", "u"], ["Cast", "u", "f", { to: 1 }], ["Add", "x f", "y"]], [["t", "I32", [2, 1, 1, 1], [1, 2 ** 30]]], "the number 2147483648 in a tensor of I32"],
])("%s is refused in words", (_, nodes, initializers, words) => expect(refusal(nodes, initializers)).toThrow(words));

test("integers beyond 32 bits are ONNX's to add up, and ours to read as floats", () => {
  expectEverywhere(graph([["Cast", "t", "f", { to: 1 }], ["Add", "x f", "y"]], [["t", "I64", [2, 1, 1, 1], [1, 2 ** 40]]]), (x, b) => x + (b === 0 ? 1 : 2 ** 40));
});
