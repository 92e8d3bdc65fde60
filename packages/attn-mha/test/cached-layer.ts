import { bindHooks, capture, causal, scoreHook, scoreMod, type AttentionContext, type AttentionLayer, type BoundHook, type CacheOptions, type Hook, type KvCache, type Mask } from "@polyhead/core";
import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { rope } from "@polyhead/pos-rope";
import { createEngine, type Engine, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { expect } from "vitest";
import { mha, reference } from "../src/index.ts";

export const gpu: Gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
export const engine: Engine = createEngine(gpu);

/** Features of the stream. */
export const WIDTH = 12;
const dims = { width: WIDTH, layers: 1, context: 128, vocab: 2, dropout: 0, causal: true };
const slopes = capture(Float32Array.of(-0.5, -0.25, -0.125, -0.0625), [4], { name: "slopes" });
const alibi: BoundHook<Tensor> = { hook: scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (q - kv)` }), params: {} };
const rotary = bindHooks<Tensor>(rope.create({}, { ...dims, heads: 4, headDim: 6 }).hooks as readonly Hook<Tensor>[], {});

/** A layer, its weights, and what it is told. */
export interface Setting {
  readonly layer: AttentionLayer<Tensor>;
  readonly params: Readonly<Record<string, Tensor>>;
  readonly context: AttentionContext<Tensor>;
}

export interface SettingOptions {
  readonly kvHeads?: number;
  readonly headDim?: number;
  readonly mask?: Mask;
  readonly kernel?: AttentionContext<Tensor>["plan"]["kernel"];
  readonly starts?: readonly number[];
}

export function setting({ kvHeads = 2, headDim = 6, mask = causal(), kernel = reference, starts }: SettingOptions = {}): Setting {
  const layer = mha.create({ heads: 4, kvHeads, headDim }, dims);
  const params = Object.fromEntries(Object.entries(layer.params).map(([name, { shape }], i) => [name, engine.tensor(uniform(shape.reduce((a, b) => a * b, 1), 20 + i).map((x) => x / 2), shape)]));
  // Odd heads cannot be turned in pairs.
  const hooks = [...(headDim % 2 === 0 ? rotary : []), alibi] as AttentionContext<Tensor>["hooks"];
  return {
    layer,
    params,
    context: { hooks, mask, plan: { kernel, how: { rope: "prepass", alibi: "inline" } }, offset: 0, dropout: 0, ...(starts && { starts: engine.tensor(starts, [starts.length], { dtype: "i32" }) }) },
  };
}

export const input = (batch: number, length: number): Tensor => engine.tensor(uniform(batch * length * WIDTH, 2), [batch, length, WIDTH]);
export const apply = ({ layer, params, context }: Setting, x: Tensor, more: Partial<AttentionContext<Tensor>> = {}): Tensor => engine.noGrad(() => layer.apply(x, params, { ...context, ...more }));

/** Reads a result and frees it, and all that was made on the way. */
export async function numbers(work: () => Tensor): Promise<Float32Array> {
  const tensor = engine.scope(work);
  const data = await tensor.read();
  tensor.dispose();
  return data as Float32Array;
}

/** The outputs of `x` fed in parts, put together again `[B, T, width]`. */
export async function inParts(to: Setting, cache: KvCache<Tensor>, x: Tensor, parts: readonly number[], positions?: Tensor): Promise<Float32Array> {
  const [batch = 0, length = 0] = x.shape;
  const all = new Float32Array(x.size);
  let at = 0;
  for (const rows of parts) {
    const cut = (whole: Tensor): Tensor => whole.narrow(1, at, rows).contiguous();
    const y = await numbers(() => apply(to, cut(x), { cache, offset: at, ...(positions && { positions: cut(positions) }) }));
    for (let b = 0; b < batch; b++) all.set(y.subarray(b * rows * WIDTH, (b + 1) * rows * WIDTH), (b * length + at) * WIDTH);
    at += rows;
  }
  expect(at).toBe(length);
  return all;
}

/** Chunks of `chunk` rows, as far as they go, and then `singles` rows one by one. */
export const parts = (length: number, chunk: number, singles: number): number[] => [
  ...Array.from({ length: Math.ceil((length - singles) / chunk) }, (_, i) => Math.min(chunk, length - singles - i * chunk)),
  ...new Array<number>(singles).fill(1),
];

export const cacheOf = ({ layer, context: { mask } }: Setting, options: Partial<CacheOptions>): KvCache<Tensor> => layer.createCache(engine, { batch: 1, capacity: 48, pageSize: 16, mask, ...options });
