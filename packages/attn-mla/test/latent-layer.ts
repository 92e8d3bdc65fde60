import { reference } from "@polyhead/attn-mha";
import { array64, bindHooks, causal, type AttentionContext, type AttentionLayer, type Hook, type KvCache, type QkHook } from "@polyhead/core";
import { rope } from "@polyhead/pos-rope";
import type { Engine, Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { latentReference, mla, type LatentConfig } from "../src/index.ts";

/** Features of the stream. */
export const WIDTH = 10;
/** Odd where they may be. */
export const SIZES = { heads: 3, kvRank: 7, nopeDim: 5, ropeDim: 4, valueDim: 6 } as const;
const dims = { width: WIDTH, layers: 1, context: 64, vocab: 2, dropout: 0, causal: true };
export const hooks: readonly QkHook[] = rope.create({ layout: "interleaved" }, { ...dims, heads: SIZES.heads, headDim: SIZES.ropeDim }).hooks as readonly QkHook[];

export type Context = AttentionContext<Tensor>;

/** What a layer is told; `planFor` gives the reference kernel for any heads. */
export function context(more: Partial<Context> = {}): Context {
  const plan = { kernel: reference, how: {} };
  return { hooks: bindHooks<Tensor>(hooks as readonly Hook<Tensor>[], {}) as Context["hooks"], mask: causal(), plan, planFor: () => plan, offset: 0, dropout: 0, ...more };
}

export const layerOf = (config: Partial<LatentConfig> = {}): AttentionLayer<Tensor> => mla.create({ ...SIZES, ...config }, dims);

/** Values of every parameter, by name. */
export function valuesOf(layer: AttentionLayer<Tensor>): Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }> {
  return Object.fromEntries(Object.entries(layer.params).map(([name, { shape }], i) => [name, { shape, data: uniform(shape.reduce((a, b) => a * b, 1), 20 + i).map((x) => x / 2) }]));
}

export const tensorsOf = (engine: Engine, layer: AttentionLayer<Tensor>): Record<string, Tensor> => Object.fromEntries(Object.entries(valuesOf(layer)).map(([name, { shape, data }]) => [name, engine.tensor(data, shape)]));

/** The layer in float64, from values by parameter name. */
export function expected(v: Readonly<Record<string, Float64Array>>, shape: readonly number[], queryRank?: number): Float64Array {
  return latentReference({
    ...SIZES,
    h: array64(v["x"]!, shape),
    ...(queryRank !== undefined && { queryRank, downQuery: v["queryDown.weight"]!, queryGain: v["queryNorm.weight"]! }),
    upQuery: v[queryRank === undefined ? "query.weight" : "queryUp.weight"]!,
    down: v["down.weight"]!,
    latentGain: v["latentNorm.weight"]!,
    up: v["up.weight"]!,
    out: v["out.weight"]!,
    position: hooks,
  });
}

/** Outputs `[B, T, WIDTH]` of `data` fed to a cache in parts, put together again. */
export async function inParts(engine: Engine, apply: (x: Tensor) => Tensor, cache: KvCache<Tensor>, { data, batch, parts }: { readonly data: Float32Array; readonly batch: number; readonly parts: readonly number[] }): Promise<Float32Array> {
  const length = parts.reduce((sum, n) => sum + n, 0);
  const x = engine.tensor(data, [batch, length, WIDTH]);
  const all = new Float32Array(data.length);
  for (const rows of parts) {
    const at = cache.length;
    const y = await engine.noGrad(() => apply(x.narrow(1, at, rows).contiguous())).read();
    for (let b = 0; b < batch; b++) all.set((y as Float32Array).subarray(b * rows * WIDTH, (b + 1) * rows * WIDTH), (b * length + at) * WIDTH);
  }
  return all;
}
