import { array64, referenceAttention, referenceGradients, zeros64, type Array64, type EmbedHook, type Hook, type QkHook, type ScoreHook } from "@polyhead/core";
import { uniform } from "@polyhead/testkit";
import type { Assembled } from "./combination.ts";
import { normGradient } from "./norm-gradient.ts";
import { SIZES } from "./sizes.ts";
import { capturesOf, hookKey, type Values } from "./values.ts";

/** What a layer gives, and the gradients of Σ output · seed by all that is trainable. */
export interface LayerReference {
  readonly output: Float64Array;
  readonly gradients: Readonly<Record<string, Float64Array>>;
}

/** Weights of the output in the loss: no entry of a gradient can then hide behind a symmetry. */
export const seedOf = (size: number): Float32Array => uniform(size, 0x5eed);

/**
 * The layer in float64, put together from what each package states of itself: x → embed hooks → norm → projections → qk hooks,
 * scores, score hooks, mask, softmax → projection; and the way back.
 *
 * @param offset  global position of row 0
 */
export function layerReference({ heads, kvHeads, headDim, parts, mask }: Assembled, values: Values, offset: number): LayerReference {
  const { batch, rows, width } = SIZES;
  const { embed, qk, score } = sorted(parts.position.hooks);
  const of = (name: string): Float64Array => values[name]!.data;
  const under = (prefix: string): Record<string, Float64Array> => Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith(prefix)).map(([name, { data }]) => [name.slice(prefix.length), data.slice()]));

  const x0 = of("x").slice();
  for (const hook of embed) eachRow(x0, (row, t) => { row.set(hook.reference(row.slice(), offset + t, { table: of(hookKey(hook, "table")) })); });
  const norm = under("norm.");
  const normed = parts.norm.reference(x0, width, norm);
  const all = heads + 2 * kvHeads;
  const stacked = project(normed, of("attention.qkv.weight"), values["attention.qkv.bias"]?.data, width);
  const [q, k, v] = [headsOf(stacked, all, 0, heads, headDim), headsOf(stacked, all, heads, kvHeads, headDim), headsOf(stacked, all, heads + kvHeads, kvHeads, headDim)];
  const inputs = { q, k, v, mask, qk, score, qOffset: offset, kvOffset: offset };
  const forward = referenceAttention(inputs);
  const joined = new Float64Array(batch * rows * heads * headDim);
  joinInto(joined, forward.o, heads, 0);
  const output = project(joined, of("attention.out.weight"), values["attention.out.bias"]?.data, heads * headDim);

  const gradients: Record<string, Float64Array> = {};
  const seed = Float64Array.from(seedOf(output.length));
  const out = projectBack(seed, joined, of("attention.out.weight"), heads * headDim);
  gradients["attention.out.weight"] = out.weight;
  gradients["attention.out.bias"] = out.bias;
  const back = referenceGradients(inputs, headsOf(out.x, heads, 0, heads, headDim), undefined, forward);
  const dStacked = new Float64Array(stacked.length);
  joinInto(dStacked, back.q, all, 0);
  joinInto(dStacked, back.k, all, heads);
  joinInto(dStacked, back.v, all, heads + kvHeads);
  const qkv = projectBack(dStacked, normed, of("attention.qkv.weight"), width);
  gradients["attention.qkv.weight"] = qkv.weight;
  gradients["attention.qkv.bias"] = qkv.bias;
  const before = normGradient(parts.norm, x0, width, norm, qkv.x);
  for (const [name, g] of Object.entries(before.params)) gradients[`norm.${name}`] = g;
  for (const hook of [...qk, ...score]) for (const capture of capturesOf(hook)) gradients[hookKey(hook, capture.name)] = back.captures.get(capture)?.data ?? zeros64(capture.shape).data;

  const dx = before.x;
  for (const hook of [...embed].reverse()) {
    const table = new Float64Array(of(hookKey(hook, "table")).length);
    eachRow(dx, (row, t) => {
      row.forEach((g, i) => { table[(offset + t) * width + i]! += g; });
      row.forEach((g, i) => { row[i] = g * hook.tokenScale; });
    });
    gradients[hookKey(hook, "table")] = table;
  }
  gradients["x"] = dx;
  return { output, gradients: Object.fromEntries(Object.entries(gradients).filter(([name]) => values[name]?.trainable === true)) };
}

interface Sorted {
  readonly embed: readonly EmbedHook[];
  readonly qk: readonly QkHook[];
  readonly score: readonly ScoreHook[];
}

function sorted(hooks: readonly Hook[]): Sorted {
  return {
    embed: hooks.filter((hook) => hook.site === "embed"),
    qk: hooks.filter((hook) => hook.site === "qk"),
    score: hooks.filter((hook) => hook.site === "score"),
  };
}

/** Visits the rows of `[B, T, width]`, as views. */
function eachRow(x: Float64Array, visit: (row: Float64Array, t: number) => void): void {
  const { rows, width } = SIZES;
  for (let at = 0; at < x.length; at += width) visit(x.subarray(at, at + width), (at / width) % rows);
}

/** y = W x + b for rows of `inputs` numbers; W is `[outputs, inputs]`. */
function project(x: Float64Array, weight: Float64Array, bias: Float64Array | undefined, inputs: number): Float64Array {
  const outputs = weight.length / inputs;
  return Float64Array.from({ length: (x.length / inputs) * outputs }, (_, at) => {
    const [row, o] = [Math.floor(at / outputs), at % outputs];
    let sum = bias?.[o] ?? 0;
    for (let i = 0; i < inputs; i++) sum += weight[o * inputs + i]! * x[row * inputs + i]!;
    return sum;
  });
}

/** dx = Wᵀ g, dW = Σ g xᵀ, db = Σ g. */
function projectBack(g: Float64Array, x: Float64Array, weight: Float64Array, inputs: number): { readonly x: Float64Array; readonly weight: Float64Array; readonly bias: Float64Array } {
  const outputs = weight.length / inputs;
  const [dx, dw, db] = [new Float64Array(x.length), new Float64Array(weight.length), new Float64Array(outputs)];
  g.forEach((value, at) => {
    const [row, o] = [Math.floor(at / outputs), at % outputs];
    db[o]! += value;
    for (let i = 0; i < inputs; i++) {
      dx[row * inputs + i]! += value * weight[o * inputs + i]!;
      dw[o * inputs + i]! += value * x[row * inputs + i]!;
    }
  });
  return { x: dx, weight: dw, bias: db };
}

/** Heads `first` to `first + count` of rows `[B, T, all · D]`, as `[B, count, T, D]`. */
function headsOf(stacked: Float64Array, all: number, first: number, count: number, D: number): Array64 {
  const { batch, rows } = SIZES;
  const shape = [batch, count, rows, D];
  return array64(Float64Array.from({ length: batch * count * rows * D }, (_, i) => {
    const [d, t, h, b] = [i % D, Math.floor(i / D) % rows, Math.floor(i / D / rows) % count, Math.floor(i / D / rows / count)];
    return stacked[((b * rows + t) * all + first + h) * D + d]!;
  }), shape);
}

/** The reverse: heads `[B, count, T, D]` into their place in rows `[B, T, all · D]`. */
function joinInto(stacked: Float64Array, { data, shape }: Array64, all: number, first: number): void {
  const [, count = 0, rows = 0, D = 0] = shape;
  data.forEach((value, i) => {
    const [d, t, h, b] = [i % D, Math.floor(i / D) % rows, Math.floor(i / D / rows) % count, Math.floor(i / D / rows / count)];
    stacked[((b * rows + t) * all + first + h) * D + d] = value;
  });
}
