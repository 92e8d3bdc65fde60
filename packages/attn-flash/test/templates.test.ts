import { and, array64, type BoundHook, capture, causal, custom, full, maskMod, pairHook, pairMod, type QkPairHook, referenceAttention, referenceGradients, type ReferenceInputs, type ScoreHook, scoreHook, scoreMod, window } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { add, createEngine, mul, sum, type Tensor } from "@polyhead/tensor";
import { assertClose, GRADIENT, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { flashAttention, templateName, type FlashChoice, type FusedTemplate } from "../src/kernel.ts";
import { refusal, workgroupBytes } from "../src/limits.ts";

const bare = await openNodeGpu({ limits: "default", features: "none", poison: true });
const able = await openNodeGpu({ poison: true });
afterAll(() => { bare.dispose(); able.dispose(); });
const onBare = createEngine(bare);
const { subgroupSize: lanes } = able.caps;

const needNothing: readonly FusedTemplate[] = [
  { kind: "row", threads: 16, keys: 4, staged: false },
  { kind: "row", threads: 32, keys: 2, staged: true },
  { kind: "tile", x: 4, y: 4, rows: 4, keys: 2 },
  { kind: "tile", x: 8, y: 4, rows: 2, keys: 1 },
];

const tanh = scoreHook({ id: "tanh", program: scoreMod(({ score }) => score.tanh()) });
const table = capture(uniform(4 * 9, 9), [4, 9], { name: "table", learned: true });
const learned = scoreHook({ id: "learned", program: scoreMod`score + ${table}[h, clamp(kv - q, -4, 4) + 4]` });
const turn = pairHook({ id: "turn", layout: "half", rotaryDim: 8, program: pairMod(({ x0, x1, position }) => [x0.add(x1.mul(position.f32().mul(0.02))), x1.sub(x0.mul(position.f32().mul(0.01)))]) });

interface Case {
  readonly mask?: ReferenceInputs["mask"];
  readonly heads?: readonly [number, number];
  readonly lengths?: readonly [number, number];
  readonly sizes?: readonly [number, number];
  readonly offsets?: readonly [number, number];
  readonly padded?: boolean;
  readonly score?: readonly ScoreHook[];
  readonly biased?: boolean;
  readonly qk?: readonly QkPairHook[];
  /** Forward alone, the keys split, the heads of a group packed. */
  readonly splits?: number;
}

/** Forward, and where it is not split backward, of one template against float64. */
async function check(template: FusedTemplate, { mask = causal(), heads: [Hq, Hkv] = [2, 2], lengths: [Tq, Tk] = [37, 37], sizes: [D, Dv] = [8, 8], offsets: [qOffset, kvOffset] = [0, 0], padded = false, score = [], biased = false, qk = [], splits }: Case): Promise<void> {
  const engine = template.kind === "subgroup" ? createEngine(able) : onBare;
  const B = 2;
  const shapes = { q: [B, Hq, Tq, D], k: [B, Hkv, Tk, D], v: [B, Hkv, Tk, Dv], bias: [B, 1, Tq, Tk] } as const;
  const names = biased ? (["q", "k", "v", "bias"] as const) : (["q", "k", "v"] as const);
  const data = Object.fromEntries(names.map((name, n) => [name, uniform(shapes[name].reduce((a, b) => a * b, 1), n + 1)])) as Record<(typeof names)[number], Float32Array>;
  const starts = padded ? [Math.floor(Tk / 3), 0] : undefined;
  const ends = padded ? [Tk - 2, 0] : undefined;
  const want: ReferenceInputs = {
    q: array64(data.q, shapes.q), k: array64(data.k, shapes.k), v: array64(data.v, shapes.v), mask, scale: 0.4, score, qk, qOffset, kvOffset,
    ...(biased && { bias: array64(data.bias, shapes.bias) }), ...(starts && { starts }), ...(ends && { lengths: ends }),
  };
  const reference = referenceAttention(want);
  const leaf = (name: (typeof names)[number]): Tensor => engine.tensor(data[name], shapes[name], { requiresGrad: splits === undefined });
  const [q, k, v, bias, weights] = [leaf("q"), leaf("k"), leaf("v"), biased ? leaf("bias") : undefined, engine.tensor(table.data, table.shape, { requiresGrad: true })];
  const choice: FlashChoice = { forward: { template, splits: splits ?? 1, packed: splits !== undefined }, dq: { template }, dkv: { template } };
  const run = () =>
    flashAttention({
      q, k, v, mask, scale: 0.4, qOffset, kvOffset, dropout: 0, ...(bias && { bias }),
      qk: qk.map((hook): BoundHook<Tensor, QkPairHook> => ({ hook, params: {} })), score: score.map((hook) => ({ hook, params: hook === learned ? { table: weights } : {} })),
      ...(starts && { starts: engine.tensor(starts, [B], { dtype: "i32" }) }), ...(ends && { lengths: engine.tensor(ends, [B], { dtype: "i32" }) }),
    }, { templates: choice });
  const [dO, dLse] = [uniform(reference.o.data.length, 5), uniform(reference.lse.data.length, 6).map((x, i) => (reference.lse.data[i] === -Infinity ? 0 : x))];
  const { o, lse } = engine.scope(() => {
    const out = run();
    if (splits !== undefined) return out;
    // A row without a key has a log-sum-exp of −∞, of which a sum makes NaN; its gradient is none.
    add(sum(mul(out.o, engine.tensor(dO, reference.o.shape))), sum(mul(out.lse, engine.tensor(dLse, reference.lse.shape)))).backward();
    return out;
  });
  assertClose(await o.read(), reference.o.data, { shape: reference.o.shape, label: "o" });
  assertClose(await lse.read(), reference.lse.data, { shape: reference.lse.shape, label: "lse" });
  if (splits === undefined) {
    const gradients = referenceGradients(want, array64(dO, reference.o.shape), array64(dLse, reference.lse.shape), reference);
    for (const [name, x] of Object.entries({ q, k, v })) assertClose(await x.grad!.read(), gradients[name as "q"].data, { rule: GRADIENT, shape: x.shape, label: `d${name}` });
    if (bias) assertClose(await bias.grad!.read(), gradients.bias!.data, { rule: GRADIENT, shape: bias.shape, label: "dbias" });
    if (score.includes(learned)) assertClose(await weights.grad!.read(), gradients.captures.get(table)!.data, { rule: GRADIENT, shape: table.shape, label: "dtable" });
  }
  for (const x of [q, k, v, bias, weights, o, lse]) x?.dispose();
}

const cases: Readonly<Record<string, Case>> = {
  "grouped heads, sizes that differ, a causal mask before the first key": { heads: [4, 2], sizes: [20, 12], offsets: [0, 3] },
  "fewer queries than keys": { lengths: [1, 63], offsets: [62, 0], sizes: [6, 10] },
  "a window": { mask: window(5, 3), lengths: [70, 65] },
  "a hook that bends scores, a bias, padding, any mask": { mask: and(window(20, 20), custom(maskMod`(q + 2 * kv) % 3 != 0`)), score: [tanh], biased: true, padded: true, heads: [4, 2], lengths: [33, 37] },
  "a learned table, its gradient through a hook that bends scores": { score: [learned, tanh], heads: [4, 4], lengths: [9, 21], offsets: [12, 0] },
  "a qk hook applied to rows as they are read": { qk: [turn], offsets: [2, 1] },
  "keys split, heads of a group packed": { mask: full(), heads: [6, 2], lengths: [3, 129], splits: 3 },
};

describe.each(needNothing.map((template) => ({ template, name: templateName(template) })))("template $name, on the least that WebGPU guarantees", ({ template }) => {
  it.each(Object.entries(cases))("equals float64 attention, with every gradient: %s", async (_, problem) => { await check(template, problem); });
});

const subgroup: FusedTemplate = { kind: "subgroup", lanes, rows: 4, keys: 2, subgroups: 1 };
describe(`template A${lanes === 0 ? ", skipped: this device has no subgroups of one size" : ""}`, () => {
  it.skipIf(lanes === 0).each(Object.entries(cases))("equals float64 attention, with every gradient: %s", async (_, problem) => { await check(subgroup, problem); });
});

describe("what templates take of a device", () => {
  const least = { invocations: 256, workgroupBytes: 16_384, subgroups: false, subgroupSize: 0 };
  const shape = (d: number, dv: number) => ({ batch: 1, heads: 8, kvHeads: 8, queries: 512, keys: 512, d, dv, half: false, hooked: false });
  const tile: FusedTemplate = { kind: "tile", x: 16, y: 8, rows: 4, keys: 4 };

  it.each([[8, 8], [64, 64], [80, 80], [128, 128], [192, 128], [256, 256]])("heads of %i and %i have a tile that fits", (d, dv) => {
    for (const pass of ["forward", "dq", "dkv"] as const) expect(refusal(tile, shape(d, dv), least, pass)).toBeUndefined();
    expect(workgroupBytes(tile, { d, dv })).toBeLessThanOrEqual(least.workgroupBytes);
  });

  it("is said where it is too much", () => {
    expect(refusal({ kind: "tile", x: 16, y: 16, rows: 4, keys: 4 }, shape(64, 64), least, "forward")).toMatch(/^it takes \d+ bytes of workgroup memory, the device allows 16384$/);
    expect(refusal({ kind: "tile", x: 32, y: 16, rows: 2, keys: 2 }, shape(64, 64), least, "forward")).toBe("it takes 512 invocations, the device allows 256");
    expect(refusal({ kind: "row", threads: 64, keys: 4, staged: true }, shape(192, 128), least, "forward")).toBe("it keeps rows of 192 and 128 values a thread");
    expect(refusal({ kind: "row", threads: 64, keys: 4, staged: false }, shape(192, 128), least, "forward")).toBeUndefined();
  });
});
