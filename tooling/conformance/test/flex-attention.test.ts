import { readSafetensors, writeSafetensors, type StoredTensor } from "@polyhead/core/safetensors";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, uniform } from "@polyhead/testkit";
import { afterAll, expect, test } from "vitest";
import { flexAttentionOperator } from "../onnx/flex-attention.ts";

const gpu = await openNodeGpu({ limits: "default" });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [B, H, KV, L, S, D, Dv] = [2, 4, 2, 5, 7, 8, 6];
const arrays = { q: uniform(B * H * L * D, 1), k: uniform(B * KV * S * D, 2), v: uniform(B * KV * S * Dv, 3) };
const file = readSafetensors(writeSafetensors({
  q: { dtype: "F32", shape: [B, H, L, D], data: arrays.q },
  k: { dtype: "F32", shape: [B, KV, S, D], data: arrays.k },
  v: { dtype: "F32", shape: [B, KV, S, Dv], data: arrays.v },
}));
const inputs: readonly StoredTensor[] = ["q", "k", "v"].map((name) => file.get(name));

interface Place {
  readonly b: number;
  readonly h: number;
  readonly q: number;
  readonly k: number;
}
type Formula = (x: number, at: Place) => number;
const same: Formula = (x) => x;

/** Y of the operator's text, row by row in float64. */
function wanted(score: Formula, weight: Formula, scale: number): Float64Array {
  const y = new Float64Array(B * H * L * Dv);
  const dot = (b: number, h: number, q: number, k: number): number => {
    const [row, key] = [((b * H + h) * L + q) * D, ((b * KV + Math.floor((h * KV) / H)) * S + k) * D];
    return Array.from({ length: D }, (_, c) => arrays.q[row + c]! * arrays.k[key + c]!).reduce((sum, x) => sum + x, 0);
  };
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let q = 0; q < L; q++) {
    const scores = Array.from({ length: S }, (_, k) => score(scale * dot(b, h, q, k), { b, h, q, k }));
    const sum = scores.reduce((total, x) => total + Math.exp(x), 0);
    scores.forEach((x, k) => {
      const share = weight(Math.exp(x) / sum, { b, h, q, k });
      for (let c = 0; c < Dv; c++) y[((b * H + h) * L + q) * Dv + c]! += share * arrays.v[((b * KV + Math.floor((h * KV) / H)) * S + k) * Dv + c]!;
    });
  }
  return y;
}

const tensor = (name: string, shape: readonly number[], data: readonly (number | string)[], dtype = "F32"): unknown => ({ name, dtype, shape, data });

/** x ↦ y; `q - k` of shape [L, S] stands ready as `far`, and what `initializers` name. */
function graph(nodes: readonly (readonly [op: string, inputs: string, output: string, attributes?: object])[], initializers: readonly unknown[] = []): unknown {
  const value = (name: string): unknown => ({ name, dtype: "F32", shape: ["B", "H", "L", "S"] });
  const all = [["Range", "i0 iL i1", "qs"], ["Reshape", "qs column", "q"], ["Range", "i0 iS i1", "k"], ["Sub", "q k", "far"], ...nodes] as typeof nodes;
  const known = [tensor("i0", [], [0], "I64"), tensor("i1", [], [1], "I64"), tensor("iL", [], [L], "I64"), tensor("iS", [], [S], "I64"), tensor("column", [2], [-1, 1], "I64")];
  return { inputs: [value("x")], outputs: [value("y")], initializers: [...known, ...initializers], nodes: all.map(([op, names, output, attributes = {}]) => ({ op, inputs: names.split(" "), outputs: [output], attributes })) };
}

const slopes = [0.5, 0.25, 0.125, 1];
const relative = graph([["Cast", "far", "f", { to: 1 }], ["Mul", "f slopes", "bias"], ["Sub", "x bias", "y"]], [tensor("slopes", [H, 1, 1], slopes)]);
const windowed = graph([["Abs", "far", "apart"], ["Less", "apart w", "near"], ["Where", "near x low", "z"], ["Tanh", "z", "t"], ["Where", "near t low", "y"]], [tensor("w", [], [3], "I64"), tensor("low", [], ["-Infinity"])]);
const positive = graph([["Greater", "x zero", "up"], ["Where", "up x low", "y"]], [tensor("zero", [], [0]), tensor("low", [], ["-Infinity"])]);
const dropped = graph([["Mul", "x keep", "y"]], [tensor("keep", [L, S], Array.from({ length: L * S }, (_, i) => (i % 4 === 1 ? 0 : 1.25)))]);
const lowest: Formula = (x) => (x > 0 ? x : -Infinity);

const CASES: readonly (readonly [name: string, attributes: object, score: Formula, weight: Formula])[] = [
  ["grouped heads", {}, same, same],
  ["a bias by distance and head", { score_mod: relative }, (x, { h, q, k }) => x - slopes[h]! * (q - k), same],
  ["a window around a curve", { score_mod: windowed, scale: 1 }, (x, { q, k }) => (Math.abs(q - k) < 3 ? Math.tanh(x) : -Infinity), same],
  ["a mask by score", { score_mod: positive }, lowest, same],
];

async function read(attributes: object, kernel?: string): Promise<{ readonly y: ArrayLike<number>; readonly kernel: string }> {
  const answer = engine.noGrad(() => engine.scope(() => flexAttentionOperator({ engine, attributes: { ...attributes }, inputs, outputShapes: [[B, H, L, Dv]], kernel })));
  const [o] = answer.outputs as [Tensor];
  expect(o.shape).toEqual([B, H, L, Dv]);
  return { y: await o.read(), kernel: answer.kernel };
}

test.each(CASES)("%s: every kernel gives what the operator's text says", async (_, attributes, score, weight) => {
  const scale = "scale" in attributes ? (attributes.scale as number) : 1 / Math.sqrt(D);
  const want = wanted(score, weight, scale);
  for (const kernel of ["flex", "flash", "reference"]) {
    const got = await read(attributes, kernel);
    expect(got.kernel).toBe(kernel);
    // A row that sees no key is 0 with us; the operator's text leaves it NaN.
    assertClose(got.y, want.map((x) => (Number.isNaN(x) ? 0 : x)), { label: kernel });
  }
});

test("prob_mod acts on the weights after the softmax, which then need not add up to 1", async () => {
  const { y, kernel } = await read({ prob_mod: dropped, score_mod: relative });
  expect(kernel).toBe("reference");
  assertClose(y, wanted((x, { h, q, k }) => x - slopes[h]! * (q - k), (p, { q, k }) => p * ((q * S + k) % 4 === 1 ? 0 : 1.25), 1 / Math.sqrt(D)));
});

test("prob_mod of places alone replaces the weights", async () => {
  const { y } = await read({ prob_mod: graph([["Cast", "far", "f", { to: 1 }], ["Mul", "x zero", "nothing"], ["Add", "nothing f", "y"]], [tensor("zero", [], [0])]) });
  assertClose(y, wanted(same, (_, { q, k }) => q - k, 1 / Math.sqrt(D)));
});

test("what no kernel of that name can do is refused", async () => {
  expect((await read({})).kernel).toBe("flex");
  await expect(read({ prob_mod: dropped }, "flash")).rejects.toThrow("prob_mod: kernel 'flash' keeps no weights; 'reference' does");
  await expect(read({ prob_mod: windowed })).rejects.toThrow("prob_mod that gives −∞");
  await expect(read({ mask_mod: relative })).rejects.toThrow("attribute mask_mod");
});
