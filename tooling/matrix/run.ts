import { bindHooks, type BoundHook, type Hook, type Params, type Plan, type QkHook, type ScoreHook } from "@polyhead/core";
import { add, concat, embedding, scale, type Engine, type Tensor } from "@polyhead/tensor";
import { compare } from "@polyhead/testkit";
import { assemble, planFor, type Assembled, type Combination, type Refused } from "./combination.ts";
import { layerReference, seedOf, type LayerReference } from "./layer-reference.ts";
import { CACHED, SIZES } from "./sizes.ts";
import { hookKey, valuesOf, type Values } from "./values.ts";

/** What became of a combination. Errors are relative to the largest magnitude of the tensor they are in, and of gradients, at least to a hundredth of the largest gradient. */
export type Outcome =
  | Refused
  | { readonly error: number; readonly where: string; readonly pass: boolean };

const OUTPUT = 1e-5;
const GRADIENT = 1e-4;

interface Prepared {
  readonly key: string;
  readonly layer: Assembled | Refused;
  readonly values: Values;
  readonly reference: LayerReference | undefined;
}

/** Runs combinations, one after the other; neighbours that differ in the kernel alone share a reference. */
export class MatrixRunner {
  readonly #engine: Engine;
  #last: Prepared | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The layer on the GPU against the layer in float64, or the sentence that refuses it. */
  async run(combination: Combination): Promise<Outcome> {
    const { layer, values, reference } = this.#prepare(combination);
    if ("refusal" in layer) return layer;
    const { caps } = this.#engine.gpu;
    const plan = planFor(layer, combination.kernel, caps, { backward: true, cache: "none" });
    if ("refusal" in plan) return plan;
    const found = [...(await trained(this.#engine, layer, values, plan, reference!))];
    if (layer.attention.cached) {
      const decode = planFor(layer, combination.kernel, caps, { backward: false, cache: "dense" });
      if ("refusal" in decode) return decode;
      found.push(await continued(this.#engine, layer, values, decode, reference!));
    }
    const pass = found.every(({ error, allowed }) => error <= allowed);
    const weight = ({ error, allowed }: Deviation): number => (pass ? error : error / allowed);
    const worst = found.reduce((a, b) => (weight(b) > weight(a) ? b : a));
    return { error: worst.error, where: worst.where, pass };
  }

  #prepare(combination: Combination): Prepared {
    const key = JSON.stringify({ ...combination, kernel: "" });
    if (this.#last?.key === key) return this.#last;
    const layer = assemble(combination);
    const values = "refusal" in layer ? {} : valuesOf(layer);
    const reference = "refusal" in layer ? undefined : layerReference(layer, values, layer.attention.offset);
    return (this.#last = { key, layer, values, reference });
  }
}

interface Deviation {
  readonly where: string;
  readonly error: number;
  readonly allowed: number;
}

const largest = (numbers: Float64Array): number => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** The largest error, relative to the largest magnitude wanted, or to `least` where that is more. */
function deviation(where: string, got: ArrayLike<number>, want: Float64Array, allowed: number, least = 0): Deviation {
  return { where, error: compare(got, want, { kind: "each", absolute: Math.max(largest(want), least), relative: 0 }).maxRatio, allowed };
}

/** A gradient whose terms cancel, such as that of a number which all scores of a row share, has no relative precision. */
const CANCELLED = 1e-2;

type Tensors = Readonly<Record<string, Tensor>>;

const upload = (engine: Engine, values: Values, requiresGrad: boolean): Tensors =>
  Object.fromEntries(Object.entries(values).map(([name, { data, shape, trainable }]) => [name, engine.keep(engine.tensor(Float32Array.from(data), shape, { requiresGrad: requiresGrad && trainable }))]));

const under = (tensors: Tensors, prefix: string): Params<Tensor> =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) => [name.slice(prefix.length), tensor]));

/** Rows of x at global positions from `offset` on, with the embed hooks and the norm. */
function normed(engine: Engine, { parts }: Assembled, x: Tensor, tensors: Tensors, offset: number): Tensor {
  const [batch = 0, rows = 0] = x.shape;
  let y = x;
  for (const hook of parts.position.hooks) {
    if (hook.site !== "embed") continue;
    const positions = engine.tensor(Uint32Array.from({ length: batch * rows }, (_, i) => offset + (i % rows)), [batch, rows], { dtype: "u32" });
    y = add(scale(y, hook.tokenScale), embedding(tensors[hookKey(hook, "table")]!, positions));
  }
  return parts.norm.apply(y, under(tensors, "norm."));
}

const boundHooks = ({ parts }: Assembled, tensors: Tensors): readonly BoundHook<Tensor, QkHook<Tensor> | ScoreHook>[] =>
  bindHooks<Tensor>(parts.position.hooks as readonly Hook<Tensor>[], under(tensors, "position.")).filter((bound): bound is BoundHook<Tensor, QkHook<Tensor> | ScoreHook> => bound.hook.site !== "embed");

/** Output and every gradient. */
async function trained(engine: Engine, layer: Assembled, values: Values, plan: Plan, reference: LayerReference): Promise<Deviation[]> {
  const { parts, mask, attention: { offset } } = layer;
  const tensors = upload(engine, values, true);
  const all = engine.scope(() => {
    const y = parts.attention.apply(normed(engine, layer, tensors["x"]!, tensors, offset), under(tensors, "attention."), { hooks: boundHooks(layer, tensors), mask, plan, offset, dropout: 0 });
    y.backward(engine.tensor(seedOf(y.size), y.shape));
    const wanted = Object.keys(reference.gradients).map((name) => tensors[name]!.grad ?? missing(name));
    // One read for all: each waits for the device.
    return concat([y, ...wanted].map((tensor) => tensor.reshape([tensor.size])), 0);
  });
  const numbers = await all.read();
  all.dispose();
  for (const tensor of Object.values(tensors)) {
    tensor.zeroGrad();
    tensor.dispose();
  }
  const least = CANCELLED * Math.max(...Object.values(reference.gradients).map(largest));
  let at = reference.output.length;
  const found = [deviation("output", numbers.subarray(0, at), reference.output, OUTPUT)];
  for (const [name, want] of Object.entries(reference.gradients)) found.push(deviation(`gradient of ${name}`, numbers.subarray(at, (at += want.length)), want, GRADIENT, least));
  return found;
}

function missing(name: string): never {
  throw new Error(`no gradient reached ${name}`);
}

/** The last rows once more, beside a cache that holds the first ones. */
async function continued(engine: Engine, layer: Assembled, values: Values, plan: Plan, reference: LayerReference): Promise<Deviation> {
  const { batch, rows, width } = SIZES;
  const { parts, mask } = layer;
  const tensors = upload(engine, values, false);
  const cache = parts.attention.createCache(engine, { batch, capacity: rows, mask });
  const chunk = (start: number, count: number): Tensor =>
    engine.noGrad(() => engine.scope(() => parts.attention.apply(normed(engine, layer, tensors["x"]!.narrow(1, start, count), tensors, start), under(tensors, "attention."), { hooks: boundHooks(layer, tensors), mask, plan, offset: start, cache, dropout: 0 })));
  chunk(0, CACHED).dispose();
  const last = chunk(CACHED, rows - CACHED);
  const got = await last.read();
  last.dispose();
  cache.dispose();
  for (const tensor of Object.values(tensors)) tensor.dispose();
  const want = Float64Array.from({ length: got.length }, (_, i) => {
    const [feature, t, b] = [i % width, Math.floor(i / width) % (rows - CACHED), Math.floor(i / width / (rows - CACHED))];
    return reference.output[(b * rows + CACHED + t) * width + feature]!;
  });
  return deviation("output beside a cache", got, want, OUTPUT);
}
