import { and, array64, capture, causal, custom, document, maskMod, or, referenceAttention, referenceGradients, type Mask, type ReferenceInputs, type ScoreHook, scoreHook, scoreMod, window } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, GRADIENT, uniform } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { flashAttention, templateName, type FusedTemplate } from "../src/kernel.ts";
import { bruteLists } from "./brute-lists.ts";

const bare = await openNodeGpu({ limits: "default", features: "none", poison: true });
const able = await openNodeGpu({ poison: true });
afterAll(() => { bare.dispose(); able.dispose(); });
const onBare = createEngine(bare);
const { subgroupSize: lanes } = able.caps;

const templates: readonly FusedTemplate[] = [
  { kind: "row", threads: 16, keys: 4, staged: false },
  { kind: "row", threads: 8, keys: 2, staged: true },
  { kind: "tile", x: 4, y: 4, rows: 2, keys: 2 },
];

const tanh = scoreHook({ id: "tanh", program: scoreMod(({ score }) => score.tanh()) });
// Cells of 8 × 8 positions, a third of them allowed, others for each head; and none for positions 32 to 63, so that a block of queries has no key.
const cells = capture(Int32Array.from(uniform(4 * 20 * 20, 3), (x) => (x > 0.3 ? 1 : 0)), [4, 20, 20], { name: "cells" });
const scattered = custom(maskMod`${cells}[h, idiv(q, 8), idiv(kv, 8)] == 1 && (q < 32 || q >= 64)`);
const documents = document(Int32Array.from({ length: 2 * 160 }, (_, n) => Math.floor((n % 160) / (n < 160 ? 23 : 61))), [2, 160]);

interface Case {
  readonly mask: Mask;
  readonly block: readonly [number, number];
  readonly lengths: readonly [number, number];
  readonly heads?: readonly [number, number];
  readonly offsets?: readonly [number, number];
  readonly origins?: readonly [number, number];
  /** Lists for each batch row, and for each head. */
  readonly lists?: readonly [number, number];
  readonly padded?: boolean;
  readonly hooked?: boolean;
}

const cases: Readonly<Record<string, Case>> = {
  "causal, 63 rows in blocks of 16": { mask: causal(), block: [16, 16], lengths: [63, 63] },
  "a window and the keys at the start, blocks of different sizes, grouped heads, offsets": { mask: or(window(20, 3), custom(maskMod`kv < 4`)), block: [32, 16], lengths: [40, 100], heads: [4, 2], offsets: [48, 3], origins: [16, -13] },
  "documents, 129 rows, a list for each batch row, padding": { mask: and(causal(), documents), block: [16, 64], lengths: [129, 129], lists: [2, 1], padded: true },
  "cells at random, others for each head, rows without a block, hooks and a bias": { mask: scattered, block: [16, 32], lengths: [100, 70], heads: [4, 2], lists: [2, 4], hooked: true },
};

const B = 2;

/** Forward and backward of a template by lists, against float64 by the mask. */
async function check(template: FusedTemplate, { mask, block, lengths: [Tq, Tk], heads: [Hq, Hkv] = [2, 2], offsets: [qOffset, kvOffset] = [0, 0], origins = [0, 0], lists: [batch, heads] = [1, 1], padded = false, hooked = false }: Case): Promise<void> {
  const engine = template.kind === "subgroup" ? createEngine(able) : onBare;
  const D = 8;
  const shapes = { q: [B, Hq, Tq, D], k: [B, Hkv, Tk, D], v: [B, Hkv, Tk, D], bias: [1, Hq, Tq, Tk] } as const;
  const names = hooked ? (["q", "k", "v", "bias"] as const) : (["q", "k", "v"] as const);
  const data = Object.fromEntries(names.map((name, n) => [name, uniform(shapes[name].reduce((a, b) => a * b, 1), n + 1)])) as Record<(typeof names)[number], Float32Array>;
  const [starts, ends] = padded ? [[5, 0], [Tk, Tk - 20]] : [undefined, undefined];
  const score: readonly ScoreHook[] = hooked ? [tanh] : [];
  const want: ReferenceInputs = {
    q: array64(data.q, shapes.q), k: array64(data.k, shapes.k), v: array64(data.v, shapes.v), mask, scale: 0.4, score, qOffset, kvOffset,
    ...(hooked && { bias: array64(data.bias, shapes.bias) }), ...(starts && { starts }), ...(ends && { lengths: ends }),
  };
  const reference = referenceAttention(want);
  const leaf = (name: (typeof names)[number]): Tensor => engine.tensor(data[name], shapes[name], { requiresGrad: true });
  const [q, k, v, bias] = [leaf("q"), leaf("k"), leaf("v"), hooked ? leaf("bias") : undefined];
  const blocks = bruteLists({ engine, mask, block, origins, batch, heads, queries: qOffset + Tq - origins[0], keys: kvOffset + Tk - origins[1] });
  const dO = uniform(reference.o.data.length, 5);
  const { o, lse } = engine.scope(() => {
    const out = flashAttention({
      q, k, v, mask, scale: 0.4, qOffset, kvOffset, dropout: 0, qk: [], score: score.map((hook) => ({ hook, params: {} })), ...(bias && { bias }),
      ...(starts && { starts: engine.tensor(starts, [B], { dtype: "i32" }) }), ...(ends && { lengths: engine.tensor(ends, [B], { dtype: "i32" }) }),
    }, { blocks, templates: { forward: { template, splits: 1, packed: false }, dq: { template }, dkv: { template } } });
    out.o.backward(engine.tensor(dO, reference.o.shape));
    return out;
  });
  assertClose(await o.read(), reference.o.data, { shape: reference.o.shape, label: "o" });
  assertClose(await lse.read(), reference.lse.data, { shape: reference.lse.shape, label: "lse" });
  const gradients = referenceGradients(want, array64(dO, reference.o.shape), undefined, reference);
  for (const [name, x] of Object.entries({ q, k, v })) assertClose(await x.grad!.read(), gradients[name as "q"].data, { rule: GRADIENT, shape: x.shape, label: `d${name}` });
  if (bias) assertClose(await bias.grad!.read(), gradients.bias!.data, { rule: GRADIENT, shape: bias.shape, label: "dbias" });
  for (const x of [q, k, v, bias, o, lse, blocks.keysOf, blocks.queriesOf]) x?.dispose();
}

describe.each(templates.map((template) => ({ template, name: templateName(template) })))("template $name walks over listed blocks", ({ template }) => {
  it.each(Object.entries(cases))("and equals float64 attention, with every gradient: %s", async (_, problem) => { await check(template, problem); });
});

describe(`template A walks over listed blocks${lanes === 0 ? ", skipped: this device has no subgroups of one size" : ""}`, () => {
  const template: FusedTemplate = { kind: "subgroup", lanes, rows: 4, keys: 2, subgroups: 1 };
  it.skipIf(lanes === 0).each(Object.entries(cases))("and equals float64 attention, with every gradient: %s", async (_, problem) => { await check(template, problem); });
});
