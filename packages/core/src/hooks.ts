import { type Program, derivative, evaluate } from "@polyhead/expr";
import type { EmbedHook, QkPairHook, QkRowHook, ScoreHook } from "./contracts/hooks.ts";
import type { ParamInit, ParamSpec, ParamSpecs } from "./contracts/params.ts";
import type { TensorLike } from "./contracts/tensor-like.ts";
import { PolyheadError } from "./errors.ts";

/** How learned captures start where not from their own data, by name. */
export type CaptureInits = Readonly<Record<string, Partial<Pick<ParamSpec, "init" | "decay">>>>;

/** Learned captures start from their own data, unless `inits` says otherwise, and are trained under their names. */
export function learnedParams({ captures }: Pick<Program, "captures">, inits: CaptureInits = {}): ParamSpecs {
  const specs: Record<string, ParamSpec> = {};
  for (const { learned, name, shape, data } of captures) {
    if (!learned) continue;
    if (specs[name] !== undefined) {
      throw new PolyheadError("HOOK_CAPTURE", `two learned captures are named '${name}'; expected one parameter a name`, "name them apart: capture(data, shape, { learned: true, name })");
    }
    const init: ParamInit = { kind: "values", data: Float32Array.from(data) };
    specs[name] = { shape, init, decay: shape.length >= 2, ...inits[name] };
  }
  return Object.freeze(specs);
}

function expectVars(id: string, program: Program, wanted: readonly string[], front: string): void {
  if (wanted.every((name) => name in program.vars)) return;
  const given = Object.keys(program.vars).join(", ");
  throw new PolyheadError("HOOK_PROGRAM", `the program of hook '${id}' is of (${given}); expected (${wanted.join(", ")})`, `write it with ${front}`);
}

/** An embed hook: `x · tokenScale + table[position]`. */
export function embedHook({ id, table, tokenScale = 1 }: { readonly id: string; readonly table: ParamSpec; readonly tokenScale?: number }): EmbedHook {
  const reference: EmbedHook["reference"] = (x, position, { table: rows = new Float64Array(0) }) => x.map((value, i) => value * tokenScale + (rows[position * x.length + i] ?? NaN));
  return Object.freeze({ site: "embed", id, params: Object.freeze({ table }), tokenScale, reference });
}

/** The two elements of a pair, as indices into the head's vector. */
export function pairElements({ layout, rotaryDim }: Pick<QkPairHook, "layout" | "rotaryDim">, pair: number): readonly [number, number] {
  return layout === "half" ? [pair, pair + rotaryDim / 2] : [2 * pair, 2 * pair + 1];
}

/** What {@link pairHook} is made of. */
export interface PairHookDraft {
  readonly id: string;
  /** Of pairMod: `x0, x1, position, pair, head → [f32, f32]`. */
  readonly program: Program;
  readonly layout: QkPairHook["layout"];
  /** Even; the elements from here on pass unchanged. */
  readonly rotaryDim: number;
  readonly applies?: QkPairHook["applies"];
}

/**
 * A qk hook that maps pairs of elements; its float64 law and its derivative are read off the program.
 * @throws PolyheadError HOOK_ROTARY (odd or empty rotaryDim), HOOK_PROGRAM (not a pairMod), HOOK_CAPTURE.
 */
export function pairHook({ id, program, layout, rotaryDim, applies = "both" }: PairHookDraft): QkPairHook {
  if (!(Number.isInteger(rotaryDim) && rotaryDim >= 2 && rotaryDim % 2 === 0)) {
    throw new PolyheadError("HOOK_ROTARY", `rotaryDim of hook '${id}' is ${String(rotaryDim)}; expected an even number of at least 2`, "choose an even head size, or an even rotaryDim within it");
  }
  expectVars(id, program, ["x0", "x1", "position", "pair", "head"], "pairMod");
  const pairs = Array.from({ length: rotaryDim / 2 }, (_, pair) => pairElements({ layout, rotaryDim }, pair));
  const slopes = [derivative(program, "x0"), derivative(program, "x1")] as const;

  const checked = (vector: Float64Array): Float64Array => {
    if (vector.length >= rotaryDim) return vector.slice();
    throw new PolyheadError("HOOK_ROTARY", `hook '${id}' turns ${String(rotaryDim)} elements of a head of ${String(vector.length)}`, "choose a rotaryDim within the head's size");
  };
  const reference: QkPairHook["reference"] = (vector, position, head) => {
    const out = checked(vector);
    for (const [pair, [i, j]] of pairs.entries()) {
      const [y0 = NaN, y1 = NaN] = evaluate(program, { x0: vector[i] ?? NaN, x1: vector[j] ?? NaN, position, pair, head });
      out[i] = y0;
      out[j] = y1;
    }
    return out;
  };
  const pullback: QkPairHook["pullback"] = (vector, position, head, gradient) => {
    const out = checked(gradient);
    for (const [pair, [i, j]] of pairs.entries()) {
      const env = { x0: vector[i] ?? NaN, x1: vector[j] ?? NaN, position, pair, head };
      const [by0, by1] = slopes.map((slope) => {
        const [d0 = NaN, d1 = NaN] = evaluate(slope, env);
        return (gradient[i] ?? NaN) * d0 + (gradient[j] ?? NaN) * d1;
      });
      out[i] = by0 ?? NaN;
      out[j] = by1 ?? NaN;
    }
    return out;
  };
  return Object.freeze({ site: "qk", form: "pair", id, program, layout, rotaryDim, params: learnedParams(program), applies, reference, pullback });
}

/** A qk hook with operators of its own, such as QK-norm. */
export function rowHook<T extends TensorLike>(draft: Omit<QkRowHook<T>, "site" | "form" | "params" | "applies"> & Partial<Pick<QkRowHook<T>, "params" | "applies">>): QkRowHook<T> {
  return Object.freeze({ site: "qk", form: "row", params: {}, applies: "both", ...draft });
}

/** What {@link scoreHook} is made of. */
export interface ScoreHookDraft {
  readonly id: string;
  /** Of scoreMod: `score, b, h, q, kv → f32`. */
  readonly program: Program;
  /** For learned captures that do not start from their own data, or decay otherwise than by their shape. */
  readonly inits?: CaptureInits;
}

/**
 * A score hook. Whether it is additive and whether it is learned are read off the program: it is additive exactly
 * when its symbolic derivative by the score is the constant 1.
 * @throws PolyheadError HOOK_PROGRAM (not a scoreMod), HOOK_CAPTURE.
 */
export function scoreHook({ id, program, inits }: ScoreHookDraft): ScoreHook {
  expectVars(id, program, ["score", "b", "h", "q", "kv"], "scoreMod");
  const [slope] = derivative(program, "score").outputs;
  const additive = slope?.op === "const" && slope.leaf.value === 1;
  const learned = program.captures.some((capture) => capture.learned);
  const reference: ScoreHook["reference"] = (score, at) => evaluate(program, { score, ...at })[0] ?? NaN;
  return Object.freeze({ site: "score", id, program, additive, learned, params: learnedParams(program, inits), reference });
}
