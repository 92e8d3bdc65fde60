import { alibi, alibiSlopes } from "@polyhead/pos-alibi";
import { relativeBucket, t5, type BucketOptions } from "@polyhead/pos-relative";
import type { ModelDims, ScoreHook } from "@polyhead/core";
import type { Safetensors } from "@polyhead/core/safetensors";
import { EXACT, uniform, type Rule } from "@polyhead/testkit";
import { UnsupportedCase } from "../unsupported.ts";

/** Scores that a hook is asked for: places on axes of its own, which broadcast. */
export interface Places {
  readonly heads: number;
  readonly queries: Int32Array<ArrayBuffer>;
  readonly keys: Int32Array<ArrayBuffer>;
}

/** One table of `position_bias_tables` in our terms. */
export interface BiasTable {
  readonly name: string;
  /** What our function on the CPU gives, beside the table itself. */
  readonly known: { readonly got: ArrayLike<number>; readonly want: ArrayLike<number>; readonly rule: Rule };
  readonly hook: ScoreHook;
  /** Numbers for the captures that the hook learns. */
  readonly params: Readonly<Record<string, Float32Array>>;
  readonly places: Places;
  /** What the hook adds to a score at these places: `[heads, queries, keys]`. */
  readonly bias: Float64Array;
  readonly rule: Rule;
  /** Whether an attention is run with it, too. */
  readonly attention: boolean;
}

/** Slopes were computed in float64, as ours are on the CPU. */
const DOUBLE: Rule = { kind: "each", absolute: 0, relative: 1e-14 };
/** A slope in f32, and its product with a distance: on a GPU, and in MPT's own code. */
const SINGLE: Rule = { kind: "each", absolute: 0, relative: 2 ** -22 };

/** Kernels are compiled by number of heads: attention is run for one count that is a power of two and one that is not. */
const ATTENDED: readonly string[] = ["alibi_slopes.8", "alibi_slopes.17"];

const range = (from: number, to: number): Int32Array<ArrayBuffer> => Int32Array.from({ length: to - from + 1 }, (_, i) => from + i);

const dims = (heads: number): Required<ModelDims> => ({ width: 64, layers: 1, context: 1024, vocab: 2, dropout: 0, causal: true, heads, headDim: 8 });

function biasOf({ heads, queries, keys }: Places, at: (h: number, distance: number) => number): Float64Array {
  return Float64Array.from({ length: heads * queries.length * keys.length }, (_, i) => {
    const [kv, rest] = [i % keys.length, Math.floor(i / keys.length)];
    return at(Math.floor(rest / queries.length), keys[kv]! - queries[rest % queries.length]!);
  });
}

/** Every table of the file. @throws UnsupportedCase for one that is none of T5's, ALiBi's or MPT's. */
export function biasTables(file: Safetensors): BiasTable[] {
  return file.names.filter((name) => name !== "t5_bucket.rel").map((name) => {
    const [kind = "", ...rest] = name.split(".");
    if (kind === "t5_bucket") return t5Table(file, name, rest);
    if (kind === "alibi_slopes") return slopesTable(file, name);
    if (kind === "mpt_alibi") return mptTable(file, name);
    throw new UnsupportedCase(`table ${name}`);
  });
}

/** `t5_bucket.<bidir|causal>.<buckets>.<largest distance>`: the bucket of each relative position that `t5_bucket.rel` lists. */
function t5Table(file: Safetensors, name: string, [direction, buckets, maxDistance]: readonly string[]): BiasTable {
  if (direction !== "bidir" && direction !== "causal") throw new UnsupportedCase(`table ${name}`);
  const options: BucketOptions = { bidirectional: direction === "bidir", buckets: Number(buckets), maxDistance: Number(maxDistance) };
  const [relative, want] = [file.get("t5_bucket.rel").numbers(), file.get(name).numbers()];
  const far = relative.reduce((most, rel) => Math.max(most, Math.abs(rel)), 0);
  const heads = 2;
  const places: Places = { heads, queries: Int32Array.of(far), keys: range(0, 2 * far) };
  const bucketAt = new Map([...relative].map((rel, i) => [rel, want[i]!]));
  const table = uniform(options.buckets * heads, 7);
  return {
    name,
    known: { got: relative.map((rel) => relativeBucket(rel, options)), want, rule: EXACT },
    hook: t5.create(options, dims(heads)).hooks[0] as ScoreHook,
    params: { table },
    places,
    bias: biasOf(places, (h, distance) => table[bucketAt.get(distance)! * heads + h]!),
    rule: EXACT,
    attention: true,
  };
}

const alibiHook = (heads: number): ScoreHook => alibi.create({}, dims(heads)).hooks[0] as ScoreHook;

/** `alibi_slopes.<heads>`: a slope a head. */
function slopesTable(file: Safetensors, name: string): BiasTable {
  const want = file.get(name).numbers();
  const places: Places = { heads: want.length, queries: Int32Array.of(20, 4), keys: range(0, 31) };
  return {
    name,
    known: { got: alibiSlopes(want.length), want, rule: DOUBLE },
    hook: alibiHook(want.length),
    params: {},
    places,
    bias: biasOf(places, (h, distance) => want[h]! * distance),
    rule: SINGLE,
    attention: ATTENDED.includes(name),
  };
}

/** `mpt_alibi.<heads>`, `[heads, T]`: what the last of T queries adds to each key. */
function mptTable(file: Safetensors, name: string): BiasTable {
  const { shape } = file.get(name);
  const want = file.get(name).numbers();
  const [heads = 0, keys = 0] = shape;
  const slopes = alibiSlopes(heads);
  const places: Places = { heads, queries: Int32Array.of(keys - 1), keys: range(0, keys - 1) };
  return {
    name,
    known: { got: biasOf(places, (h, distance) => slopes[h]! * distance), want, rule: SINGLE },
    hook: alibiHook(heads),
    params: {},
    places,
    bias: want,
    rule: SINGLE,
    attention: false,
  };
}
