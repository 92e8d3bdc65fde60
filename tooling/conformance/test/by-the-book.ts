/**
 * Models of a few lines each, in float64, on tensors under Hugging Face's names: what loaded checkpoints are held against where there
 * is no reference data. `x[t]` is the stream at token t.
 */
export type Weights = Readonly<Record<string, Float64Array>>;
export type Rows = readonly Float64Array[];

const add = (a: Rows, b: Rows): Rows => a.map((row, t) => row.map((value, i) => value + b[t]![i]!));

/** W x + b, with W `[out, in]`. */
function linear(x: Rows, weights: Weights, name: string): Rows {
  const [weight, bias] = [weights[`${name}.weight`]!, weights[`${name}.bias`]];
  return x.map((row) => Float64Array.from({ length: weight.length / row.length }, (_, o) => row.reduce((sum, value, i) => sum + value * weight[o * row.length + i]!, bias?.[o] ?? 0)));
}

function norm(x: Rows, weights: Weights, name: string, { center, epsilon }: { readonly center: boolean; readonly epsilon: number }): Rows {
  const [weight, bias] = [weights[`${name}.weight`]!, weights[`${name}.bias`]];
  return x.map((row) => {
    const mean = center ? row.reduce((sum, value) => sum + value, 0) / row.length : 0;
    const scale = 1 / Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length + epsilon);
    return row.map((value, i) => (value - mean) * scale * weight[i]! + (bias?.[i] ?? 0));
  });
}

const layerNorm = (x: Rows, weights: Weights, name: string): Rows => norm(x, weights, name, { center: true, epsilon: 1e-5 });
const rmsNorm = (x: Rows, weights: Weights, name: string): Rows => norm(x, weights, name, { center: false, epsilon: 1e-6 });

const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const silu = (x: number): number => x / (1 + Math.exp(-x));
const each = (x: Rows, f: (value: number) => number): Rows => x.map((row) => row.map(f));
const gated = (gate: Rows, up: Rows, f: (value: number) => number): Rows => gate.map((row, t) => row.map((value, i) => f(value) * up[t]![i]!));

const embed = (ids: readonly number[], table: Float64Array, width: number): Rows => ids.map((id) => table.slice(id * width, (id + 1) * width));

/** Elements of head `h` of part `part`, where rows hold `[heads, parts, dim]`. */
const headByHead = (row: Float64Array, h: number, part: number, dim: number): Float64Array => row.slice((3 * h + part) * dim, (3 * h + part + 1) * dim);
const headOf = (row: Float64Array, h: number, dim: number): Float64Array => row.slice(h * dim, (h + 1) * dim);

/** Turns the pairs i and i + n/2 of the first n elements by position · base^(−2i/n) / stretch. */
function turn(vector: Float64Array, position: number, n: number, stretch = 1): Float64Array {
  const out = vector.slice();
  for (let i = 0; i < n / 2; i++) {
    const angle = (position / stretch) * 10_000 ** ((-2 * i) / n);
    const [a, b] = [vector[i]!, vector[i + n / 2]!];
    out[i] = a * Math.cos(angle) - b * Math.sin(angle);
    out[i + n / 2] = b * Math.cos(angle) + a * Math.sin(angle);
  }
  return out;
}

interface Heads {
  readonly heads: number;
  readonly scale: number;
  readonly q: (t: number, h: number) => Float64Array;
  readonly k: (t: number, h: number) => Float64Array;
  readonly v: (t: number, h: number) => Float64Array;
  /** Keys that query t sees. */
  readonly keys: (t: number) => number;
  readonly bias?: (h: number, i: number, j: number) => number;
}

/** Weighted values of all heads, side by side, for `queries` tokens. */
function attend(queries: number, { heads, scale, q, k, v, keys, bias = () => 0 }: Heads): Rows {
  return Array.from({ length: queries }, (_, i) => Float64Array.from(Array.from({ length: heads }, (_, h) => {
    const query = q(i, h);
    const scores = Array.from({ length: keys(i) }, (_, j) => k(j, h).reduce((sum, value, d) => sum + value * query[d]!, 0) * scale + bias(h, i, j));
    const largest = Math.max(...scores);
    const parts = scores.map((score) => Math.exp(score - largest));
    const total = parts.reduce((sum, part) => sum + part, 0);
    return [...v(0, h)].map((_, d) => parts.reduce((sum, part, j) => sum + (part / total) * v(j, h)[d]!, 0));
  }).flat()));
}

export interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
}

/** GPT-NeoX with a half of each head turned, as it is or one sublayer after the other. */
export function neox(ids: readonly number[], w: Weights, { width, heads, layers }: Sizes, parallel: boolean): Rows {
  const dim = width / heads;
  let x = embed(ids, w["gpt_neox.embed_in.weight"]!, width);
  for (let n = 0; n < layers; n++) {
    const at = `gpt_neox.layers.${n}`;
    const qkv = linear(layerNorm(x, w, `${at}.input_layernorm`), w, `${at}.attention.query_key_value`);
    const head = (part: number) => (t: number, h: number) => headByHead(qkv[t]!, h, part, dim);
    const turned = (part: number) => (t: number, h: number) => turn(head(part)(t, h), t, dim / 2);
    const attention = linear(attend(ids.length, { heads, scale: 1 / Math.sqrt(dim), q: turned(0), k: turned(1), v: head(2), keys: (t) => t + 1 }), w, `${at}.attention.dense`);
    const after = add(x, attention);
    const hidden = each(linear(layerNorm(parallel ? x : after, w, `${at}.post_attention_layernorm`), w, `${at}.mlp.dense_h_to_4h`), gelu);
    x = add(after, linear(hidden, w, `${at}.mlp.dense_4h_to_h`));
  }
  return linear(layerNorm(x, w, "gpt_neox.final_layer_norm"), { "out.weight": w["embed_out.weight"]! }, "out");
}

/** BLOOM with six heads, adding to the stream or to its norm. */
export function bloom(ids: readonly number[], w: Weights, { width, heads, layers }: Sizes, normed: boolean): Rows {
  const dim = width / heads;
  const slopes = [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8, 2 ** -1, 2 ** -3];
  let x = layerNorm(embed(ids, w["transformer.word_embeddings.weight"]!, width), w, "transformer.word_embeddings_layernorm");
  for (let n = 0; n < layers; n++) {
    const at = `transformer.h.${n}`;
    const before = layerNorm(x, w, `${at}.input_layernorm`);
    const qkv = linear(before, w, `${at}.self_attention.query_key_value`);
    const head = (part: number) => (t: number, h: number) => headByHead(qkv[t]!, h, part, dim);
    const attention = linear(attend(ids.length, { heads, scale: 1 / Math.sqrt(dim), q: head(0), k: head(1), v: head(2), keys: (t) => t + 1, bias: (h, i, j) => slopes[h]! * (j - i) }), w, `${at}.self_attention.dense`);
    const after = add(normed ? before : x, attention);
    const between = layerNorm(after, w, `${at}.post_attention_layernorm`);
    const hidden = each(linear(between, w, `${at}.mlp.dense_h_to_4h`), gelu);
    x = add(normed ? between : after, linear(hidden, w, `${at}.mlp.dense_4h_to_h`));
  }
  return linear(layerNorm(x, w, "transformer.ln_f"), { "out.weight": w["transformer.word_embeddings.weight"]! }, "out");
}

/** Llama with half as many key heads, and positions that go by a part of a token at a time. */
export function llama(ids: readonly number[], w: Weights, { width, heads, layers }: Sizes, stretch: number): Rows {
  const dim = width / heads;
  let x = embed(ids, w["model.embed_tokens.weight"]!, width);
  for (let n = 0; n < layers; n++) {
    const at = `model.layers.${n}`;
    const before = rmsNorm(x, w, `${at}.input_layernorm`);
    const [q, k, v] = ["q", "k", "v"].map((name) => linear(before, w, `${at}.self_attn.${name}_proj`)) as [Rows, Rows, Rows];
    const shared = (h: number): number => Math.floor(h / 2);
    const o = attend(ids.length, { heads, scale: 1 / Math.sqrt(dim), q: (t, h) => turn(headOf(q[t]!, h, dim), t, dim, stretch), k: (t, h) => turn(headOf(k[t]!, shared(h), dim), t, dim, stretch), v: (t, h) => headOf(v[t]!, shared(h), dim), keys: (t) => t + 1 });
    const after = add(x, linear(o, w, `${at}.self_attn.o_proj`));
    const between = rmsNorm(after, w, `${at}.post_attention_layernorm`);
    x = add(after, linear(gated(linear(between, w, `${at}.mlp.gate_proj`), linear(between, w, `${at}.mlp.up_proj`), silu), w, `${at}.mlp.down_proj`));
  }
  return linear(rmsNorm(x, w, "model.norm"), w, "lm_head");
}

/** T5 1.1, on texts that are short enough for every distance to have a bucket of its own. */
export function t5(ids: readonly number[], written: readonly number[], w: Weights, { width, heads, layers }: Sizes, dim: number): Rows {
  const attention = (queries: Rows, keys: Rows, at: string, more: Pick<Heads, "keys" | "bias">): Rows => {
    const [q, k, v] = ([["q", queries], ["k", keys], ["v", keys]] as const).map(([name, rows]) => linear(rows, w, `${at}.${name}`)) as [Rows, Rows, Rows];
    return linear(attend(queries.length, { heads, scale: 1, q: (t, h) => headOf(q[t]!, h, dim), k: (t, h) => headOf(k[t]!, h, dim), v: (t, h) => headOf(v[t]!, h, dim), ...more }), w, `${at}.o`);
  };
  const feedForward = (x: Rows, at: string): Rows => {
    const before = rmsNorm(x, w, `${at}.layer_norm`);
    return add(x, linear(gated(linear(before, w, `${at}.DenseReluDense.wi_0`), linear(before, w, `${at}.DenseReluDense.wi_1`), gelu), w, `${at}.DenseReluDense.wo`));
  };
  const self = (x: Rows, stack: "encoder" | "decoder", n: number): Rows => {
    const at = `${stack}.block.${n}.layer.0`;
    const before = rmsNorm(x, w, `${at}.layer_norm`);
    const table = w[`${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`]!;
    // Keys before the query come first; those after it have the other half of the buckets.
    const bucket = (i: number, j: number): number => (j > i ? 16 + (j - i) : i - j);
    return add(x, attention(before, before, `${at}.SelfAttention`, { keys: (t) => (stack === "encoder" ? x.length : t + 1), bias: (h, i, j) => table[bucket(i, j) * heads + h]! }));
  };
  let x = embed(ids, w["shared.weight"]!, width);
  for (let n = 0; n < layers; n++) x = feedForward(self(x, "encoder", n), `encoder.block.${n}.layer.1`);
  const memory = rmsNorm(x, w, "encoder.final_layer_norm");
  let y = embed(written, w["shared.weight"]!, width);
  for (let n = 0; n < layers; n++) {
    y = self(y, "decoder", n);
    const at = `decoder.block.${n}.layer.1`;
    y = add(y, attention(rmsNorm(y, w, `${at}.layer_norm`), memory, `${at}.EncDecAttention`, { keys: () => ids.length }));
    y = feedForward(y, `decoder.block.${n}.layer.2`);
  }
  return linear(rmsNorm(y, w, "decoder.final_layer_norm"), w, "lm_head");
}
