import { multiHeadReference } from "@polyhead/attn-mha";
import { and, array64, causal, full, lookUp, scoreHook, scoreMod, scoreTokens, window, type Mask, type ResolvedSpec } from "@polyhead/core";
import { layerNormReference } from "@polyhead/norm-layer";
import { rmsNormReference } from "@polyhead/norm-rms";
import type { Parameters } from "../src/index.ts";
import { mixtureReference } from "../src/mixture-reference.ts";
import type { ExpertsConfig, Step } from "../src/index.ts";

/** Weights by name, in float64. */
export type Weights = Readonly<Record<string, Float64Array>>;

export async function weightsOf(parameters: Parameters): Promise<Weights> {
  return Object.fromEntries(await Promise.all(parameters.all.map(async ({ name, tensor }) => [name, Float64Array.from(await tensor.read())] as const)));
}

/** The keys of a resolved spec that a stack acts by. */
interface Keys {
  readonly attention: { readonly heads: number; readonly kvHeads?: number; readonly headDim?: number; readonly scale?: number; readonly softcap?: number };
  readonly norm: { readonly use: string; readonly epsilon: number; readonly place: string; readonly residual: string; readonly embedding: boolean };
  readonly embedding: { readonly use: string; readonly scale: number; readonly logitScale: number; readonly softcap?: number };
  readonly feedForward: { readonly use: string };
  readonly experts?: ExpertsConfig;
  readonly window?: number;
}

export interface StackCase {
  readonly spec: ResolvedSpec;
  readonly weights: Weights;
  readonly steps: readonly Step[];
  readonly prefix?: string;
  /** Of letter `s`; default causal. */
  readonly mask?: Mask;
  /** Rows of `width` numbers. */
  readonly memory?: Float64Array;
}

const erf = (x: number): number => {
  // ∑ of the Maclaurin series: exact to the last digits for the small values of these tests.
  let [term, sum] = [x, x];
  for (let n = 1; n < 60; n++) { term *= (-x * x) / n; sum += term / (2 * n + 1); }
  return (2 / Math.sqrt(Math.PI)) * sum;
};
const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));
const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const relu = (x: number): number => Math.max(0, x);
const silu = (x: number): number => x / (1 + Math.exp(-x));
const PHI: Readonly<Record<string, (x: number) => number>> = { gelu, "gelu-tanh": geluTanh, relu, silu, swiglu: silu, geglu: gelu, "geglu-tanh": geluTanh, reglu: relu };

function project(x: Float64Array, weight: Float64Array, bias: Float64Array | undefined, inputs: number): Float64Array {
  const outputs = weight.length / inputs;
  return Float64Array.from(scoreTokens(x, weight, inputs), (y, at) => y + (bias?.[at % outputs] ?? 0));
}

/** The stream after a stack, rows of `width`, for one sequence of embeddings. */
export function stackReference(x: Float64Array, { spec, weights, steps, prefix = "", mask = causal(), memory }: StackCase): Float64Array {
  const { width } = spec;
  const keys = spec as unknown as Keys;
  const { place, residual } = keys.norm;
  const maybe = (name: string): Float64Array | undefined => weights[prefix + name];
  const w = (name: string): Float64Array => maybe(name)!;
  const norm = (y: Float64Array, at: string): Float64Array => (keys.norm.use === "rms" ? rmsNormReference(y, width, w(`${at}.weight`), keys.norm.epsilon) : layerNormReference(y, width, w(`${at}.weight`), w(`${at}.bias`), keys.norm.epsilon));
  const sum = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value + b[i]!);
  const rows = (y: Float64Array) => array64(y, [1, y.length / width, width]);
  const cap = keys.attention.softcap;
  const score = cap === undefined ? [] : [scoreHook({ id: "cap", program: scoreMod`tanh(score / ${cap}) * ${cap}` })];
  const reach = (keys.window ?? 1) - 1;

  const attend = (y: Float64Array, at: string, letter: string): Float64Array => {
    const { heads, kvHeads = heads, headDim = width / heads, scale } = keys.attention;
    const of = letter === "c" ? full() : letter === "s" ? mask : and(mask, window(reach, reach));
    const [qkvBias, outBias] = [maybe(`${at}.qkv.bias`), maybe(`${at}.out.bias`)];
    return multiHeadReference({
      x: rows(y), heads, kvHeads, headDim, mask: of, score, qkv: w(`${at}.qkv.weight`), out: w(`${at}.out.weight`),
      ...(qkvBias && { qkvBias }), ...(outBias && { outBias }),
      ...(scale !== undefined && { scale }), ...(letter === "c" && { memory: rows(memory!) }),
    });
  };
  const feed = (y: Float64Array, at: string): Float64Array => {
    const up = project(y, w(`${at}.up.weight`), maybe(`${at}.up.bias`), width);
    const all = up.length / (y.length / width);
    const gated = /glu$|-tanh$/.test(keys.feedForward.use) && keys.feedForward.use !== "gelu-tanh";
    const hidden = gated ? all / 2 : all;
    const phi = PHI[keys.feedForward.use]!;
    const active = Float64Array.from({ length: (up.length / all) * hidden }, (_, i) => {
      const first = Math.floor(i / hidden) * all + (i % hidden);
      return phi(up[first]!) * (gated ? up[first + hidden]! : 1);
    });
    return project(active, w(`${at}.down.weight`), maybe(`${at}.down.bias`), hidden);
  };
  const mix = (y: Float64Array, at: string): Float64Array => mixtureReference(y, width, keys.experts!, Object.fromEntries(Object.entries(weights).filter(([name]) => name.startsWith(`${prefix}${at}.`)).map(([name, data]) => [name.slice(prefix.length + at.length + 1), data])));

  const counts: Record<string, number> = { attention: 0, cross: 0, feedForward: 0 };
  let stream = keys.norm.embedding ? norm(x, "embeddingNorm") : x;
  for (const step of steps) {
    let base = stream;
    let first = "";
    let made = new Float64Array(stream.length);
    for (const letter of step) {
      const kind = letter === "c" ? "cross" : letter === "s" || letter === "w" ? "attention" : "feedForward";
      const at = `blocks.${counts[kind]!++}.${kind}`;
      const input = place === "post" ? stream : norm(stream, `${at}.norm`);
      if (first === "" && residual === "normed") base = input;
      if (first === "") first = at;
      const y = letter === "f" ? feed(input, at) : letter === "m" ? mix(input, at) : attend(input, at, letter);
      made = Float64Array.from(sum(made, place === "both" ? norm(y, `${at}.normAfter`) : y));
    }
    stream = sum(base, made);
    if (place === "post") stream = norm(stream, `${first}.norm`);
  }
  return place === "post" ? stream : norm(stream, "norm");
}

/** Scaled rows of the table of one sequence. */
export function embedReference(ids: readonly number[], { spec, weights }: Pick<StackCase, "spec" | "weights">): Float64Array {
  const { scale } = (spec as unknown as Keys).embedding;
  return Float64Array.from(lookUp(ids, weights["embedding.weight"]!, spec.width), (x) => x * scale);
}

/** Logits of the rows of a stream. */
export function logitsReference(hidden: Float64Array, { spec, weights }: Pick<StackCase, "spec" | "weights">): Float64Array {
  const { logitScale, softcap } = (spec as unknown as Keys).embedding;
  return Float64Array.from(scoreTokens(hidden, weights["embedding.head"] ?? weights["embedding.weight"]!, spec.width), (x) => (softcap === undefined ? x * logitScale : softcap * Math.tanh((x * logitScale) / softcap)));
}
