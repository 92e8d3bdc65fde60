// What every fused kernel shares: bindings, scalars, how rows are read, and what becomes of a raw score.
//
// Legend. B batch rows, Hq query heads, Hkv key heads, group = Hq / Hkv, Tq queries, Tk key rows.
//   q    [B, Hq, Tq, D]    k [B, Hkv, Tk, D]    v [B, Hkv, Tk, Dv]    any strides but the last, which is 1; f32, or f16
//   g    [B, Hq, Tq, Dv]   gradient of the output, f32
//   ld   [B, Hq, Tq]       (log2-sum-exp, Δ) of a row, f32 pairs: what backward needs of forward
//   bias [B|1, Hq|1, Tq|1, Tk|1] f32 by strides;   tables: kernels/tables.ts
// Strides and starts are counted in groups of four elements: a head is a run of vec4.
// Names: i a row of q, j a row of k, q and kv their global positions, h a query head, hk its key head, b a batch row.
// Scores are kept times log2 e, so that weights are exp2.
import { emitWgsl, type Program } from "@polyhead/core";
import { queryBounds } from "@polyhead/attn-mha/kernel";
import { f32Literal, wgsl, type BindingSpec, type ParamType } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";
import { learner } from "./learn.ts";
import { hasTables, tableCode } from "./tables.ts";

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/**
 * A score that the mask forbids: finite, since infinities need care; below {@link UNSEEN}, so that its weight is 0 whatever
 * the maximum of its row. Allowed scores end at `LEAST`, above both.
 */
export const MASKED = "-3.0e38";
/** The maximum of a row before its first key. */
export const UNSEEN = "-1.0e38";
const LEAST = "-0.9e38";

export const LOG2E: string = f32Literal(Math.LOG2E);
export const LN2: string = f32Literal(Math.LN2);

/**
 * `depth`, `depthV`, `lanes`, `sets` and `cells` are trip counts that the code could know. They are scalars since drivers unroll what they can
 * count, and then spend seconds on compiling it.
 */
export const FRAME_PARAMS: Readonly<Record<string, ParamType>> = {
  queries: "u32", rows: "u32", keys: "i32", heads: "u32", kvHeads: "u32", group: "u32", tiles: "u32", splits: "u32", span: "i32",
  depth: "u32", depthV: "u32", lanes: "u32", sets: "u32", cells: "u32", qOffset: "i32", kvOffset: "i32", scale: "f32", minusInfinity: "f32",
  qAt: "u32", qB: "u32", qH: "u32", qT: "u32", kAt: "u32", kB: "u32", kH: "u32", kT: "u32", vAt: "u32", vB: "u32", vH: "u32", vT: "u32",
};

const BIAS_PARAMS: Readonly<Record<string, ParamType>> = { biasAt: "u32", biasB: "u32", biasH: "u32", biasI: "u32", biasJ: "u32" };

export const frameParams = (form: FlashForm): Record<string, ParamType> => ({ ...FRAME_PARAMS, ...(form.bias && BIAS_PARAMS), ...tableCode(form).params });

/** What is read beside q, k and v; `v` may be bound in pieces of `width` elements. */
export function inputBindings(form: FlashForm, width: 2 | 4 = 4): Record<string, BindingSpec> {
  const type = (n: 2 | 4, half = form.half): string => (half ? (n === 4 ? "vec2u" : "u32") : `vec${n}f`);
  return {
    q: `read array<${type(4, form.halfQ)}>`,
    k: `read array<${type(4)}>`,
    v: `read array<${type(width)}>`,
    ...(form.bias && { bias: "read array<f32>" as const }),
    ...(hasTables(form) && { tables: "read array<i32>" as const }),
  };
}

/** A vec4 (or vec2) of a binding as f32. */
function load(name: string, index: string, half: boolean, width: 2 | 4 = 4): string {
  const word = `${name}[${index}]`;
  if (!half) return word;
  return width === 2 ? `unpack2x16float(${word})` : `unpackHalves(${word})`;
}

const UNPACK = "fn unpackHalves(w: vec2u) -> vec4f { return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }";

/** A program of b, h, q, kv (and score) as a function. */
function asFunction(name: string, result: "f32" | "bool", program: Program, read: ReturnType<typeof tableCode>["read"]): { readonly text: string; readonly helpers: Readonly<Record<string, string>> } {
  const { statements, results, helpers } = emitWgsl(program, { read, vars: { score: "score", b: "b", h: "h", q: "q", kv: "kv" } });
  return { helpers, text: `fn ${name}(score: f32, b: i32, h: i32, q: i32, kv: i32) -> ${result} {\n${statements}\nreturn ${results[0]!};\n}` };
}

/** Scores go through hooks or a bias, so they are kept in natural units until those have acted. */
export const isLoose = ({ program, bias }: FlashForm): boolean => bias || program.score.outputs[0]?.op !== "var";

/** `rotate(base, d, position, head)` for q or k: group d of a row whose pairs the hook turns. */
function pairReader(side: "q" | "k", { qk, halfQ, half: halfK }: FlashForm, read: ReturnType<typeof tableCode>["read"]): { readonly text: string; readonly helpers: Readonly<Record<string, string>> } {
  const half = side === "q" ? halfQ : halfK;
  if (qk === undefined || (qk.applies !== "both" && qk.applies !== side)) {
    return { helpers: {}, text: `fn ${side}Row(base: u32, d: u32, position: i32, head: i32) -> vec4f { return ${load(side, "base + d", half)}; }` };
  }
  const { program, layout, rotaryDim } = qk;
  const { statements, results, helpers } = emitWgsl(program, { read, vars: { x0: "x0", x1: "x1", position: "position", pair: "pair", head: "head" } });
  const turn = `fn ${side}Turn(x0: f32, x1: f32, position: i32, pair: i32, head: i32) -> vec2f {\n${statements}\nreturn vec2f(${results.join(", ")});\n}`;
  const at = (pair: string, x0: string, x1: string): string => `${side}Turn(${x0}, ${x1}, position, ${pair}, head)`;
  const own = load(side, "base + d", half);
  if (layout === "interleaved") {
    const guard = (pair: number, part: string): string => `select(${part}, ${at(`i32(2u * d) + ${pair}i`, `${part}.x`, `${part}.y`)}, i32(4u * d) + ${2 * pair}i < ${rotaryDim}i)`;
    return { helpers, text: `${turn}\nfn ${side}Row(base: u32, d: u32, position: i32, head: i32) -> vec4f {\n  let x = ${own};\n  return vec4f(${guard(0, "x.xy")}, ${guard(1, "x.zw")});\n}` };
  }
  // Element e < half pairs with e + half; where half is not a multiple of four, partners lie across groups.
  const middle = rotaryDim / 2;
  const element = (e: string): string => `${side}At(base, ${e})`;
  const one = range(4).map((c) => `${side}Element(base, 4u * d + ${c}u, position, head)`);
  const aligned = middle % 4 === 0;
  const text = aligned
    ? `fn ${side}Row(base: u32, d: u32, position: i32, head: i32) -> vec4f {
  let x = ${own};
  if (d >= ${rotaryDim / 4}u) { return x; }
  let first = d < ${middle / 4}u;
  let y = ${load(side, `base + select(d - ${middle / 4}u, d + ${middle / 4}u, first)`, half)};
  let pair = i32(4u * select(d - ${middle / 4}u, d, first));
  let x0 = select(y, x, first);
  let x1 = select(x, y, first);
  ${range(4).map((c) => `let r${c} = ${at(`pair + ${c}i`, `x0[${c}]`, `x1[${c}]`)};`).join("\n  ")}
  return select(vec4f(r0.y, r1.y, r2.y, r3.y), vec4f(r0.x, r1.x, r2.x, r3.x), first);
}`
    : `fn ${side}At(base: u32, e: u32) -> f32 { let x = ${load(side, "base + e / 4u", half)}; return x[e % 4u]; }
fn ${side}Element(base: u32, e: u32, position: i32, head: i32) -> f32 {
  if (e >= ${rotaryDim}u) { return ${element("e")}; }
  if (e < ${middle}u) { return ${at("i32(e)", element("e"), element(`e + ${middle}u`))}.x; }
  return ${at(`i32(e) - ${middle}i`, element(`e - ${middle}u`), element("e"))}.y;
}
fn ${side}Row(base: u32, d: u32, position: i32, head: i32) -> vec4f { return vec4f(${one.join(", ")}); }`;
  return { helpers, text: `${turn}\n${text}` };
}

export interface FrameOptions {
  /** Elements that `v` is bound by. */
  readonly width?: 2 | 4;
  /** Declares `gradientBase`. */
  readonly backward?: boolean;
  /** Declares `slope`. */
  readonly slope?: boolean;
  /** Declares `learn` and `learnEnd`; see kernels/learn.ts. */
  readonly learn?: boolean;
}

/**
 * Module-scope functions of a kernel:
 *   qRow(base, d, position, head), kRow(…)   group d of a row, as hooks leave it;   vRow(base, c)
 *   queryBase(b, h, i), keyBase(b, hk, j), valueBase(b, hk, j)
 *   firstKey(b), endKey(b)                    the rows of k that padding leaves
 *   keyLo(q, b), keyHi(q, b)                  the rows of k that a query may see; both grow with q
 *   queryLo(kv), queryHi(kv)                  the rows of q that may see a key; both grow with kv
 *   cooked(raw, b, h, i, j)                   bias, hooks and unit of a score: what goes into exp2, but for ranges
 *   allowed(b, h, q, kv)                      the mask, where ranges do not say it all
 */
export function frame(form: FlashForm, { width = 4, backward = false, slope: wantsSlope = false, learn = false }: FrameOptions = {}): string {
  const { program, half, page, bias, starts, lengths } = form;
  const code = tableCode(form);
  const loose = isLoose(form);
  const hook = loose ? asFunction("hooked", "f32", program.score, code.read) : undefined;
  const mask = program.mask && asFunction("test", "bool", program.mask, code.read);
  const slope = wantsSlope && program.slope ? asFunction("slopeOf", "f32", program.slope, code.read) : undefined;
  const learning = learn ? learner(form, code.read) : undefined;
  const readers = [pairReader("q", form, code.read), pairReader("k", form, code.read)];
  const helpers = Object.values(Object.assign({}, ...[hook, mask, slope, learning, ...readers].map((f) => f?.helpers ?? {})) as Record<string, string>);
  const most = (first: string, others: readonly string[]): string => others.reduce((a, c) => `max(${a}, ${c})`, first);
  const least = (first: string, others: readonly string[]): string => others.reduce((a, c) => `min(${a}, ${c})`, first);
  const queries = queryBounds(form.mask);
  const vUnit = width === 2 ? "2u * " : "";
  const row = (name: "k" | "v", unit: string): string =>
    page > 0
      ? wgsl`  let pageOf = u32(tables[params.pagesAt + b * params.pages + j / ${page}u]);
  return ${unit}(params.${name}At + pageOf * params.${name}B + hk * params.${name}H + (j % ${page}u) * params.${name}T);`
      : `  return ${unit}(params.${name}At + b * params.${name}B + hk * params.${name}H + j * params.${name}T);`;
  return wgsl`
${half || form.halfQ ? UNPACK : ""}
${helpers}
${code.functions}
${hook?.text ?? ""}
${mask?.text ?? ""}
${slope?.text ?? ""}
${readers.map(({ text }) => text)}
fn vRow(base: u32, c: u32) -> ${width === 4 ? "vec4f" : "vec2f"} { return ${load("v", "base + c", half, width)}; }
fn queryBase(b: u32, h: u32, i: u32) -> u32 { return params.qAt + b * params.qB + h * params.qH + i * params.qT; }
fn keyBase(b: u32, hk: u32, j: u32) -> u32 {
${row("k", "")}
}
fn valueBase(b: u32, hk: u32, j: u32) -> u32 {
${row("v", vUnit)}
}
${backward ? "fn gradientBase(b: u32, h: u32, i: u32) -> u32 { return params.gAt + b * params.gB + h * params.gH + i * params.gT; }" : ""}
fn firstKey(b: u32) -> i32 { return ${starts ? "max(0i, tables[params.startsAt + b])" : "0i"}; }
fn endKey(b: u32) -> i32 { return ${lengths ? "min(params.keys, tables[params.lengthsAt + b])" : "params.keys"}; }
fn keyLo(q: i32, b: u32) -> i32 { return ${most("firstKey(b)", program.bounds.lo)}; }
fn keyHi(q: i32, b: u32) -> i32 { return ${least("endKey(b)", program.bounds.hi)}; }
fn queryLo(kv: i32) -> i32 { return ${most("0i", queries.lo)}; }
fn queryHi(kv: i32) -> i32 { return ${least("i32(params.queries)", queries.hi)}; }
fn cooked(raw: f32, b: u32, h: u32, i: u32, j: u32) -> f32 {
  ${loose ? wgsl`
  let score = ${hook === undefined ? "withBias(raw, b, h, i, j)" : "hooked(withBias(raw, b, h, i, j), i32(b), i32(h), i32(i) + params.qOffset, i32(j) + params.kvOffset)"};
  return select(max(score * ${LOG2E}, ${LEAST}), ${MASKED}, score < -3.4028234e38);` : "return raw;"}
}
fn withBias(raw: f32, b: u32, h: u32, i: u32, j: u32) -> f32 { return raw${bias ? " + bias[params.biasAt + b * params.biasB + h * params.biasH + i * params.biasI + j * params.biasJ]" : ""}; }
fn allowed(b: u32, h: u32, i: u32, j: u32) -> bool { return ${mask === undefined ? "true" : "test(0.0, i32(b), i32(h), i32(i) + params.qOffset, i32(j) + params.kvOffset)"}; }
${slope === undefined ? "" : wgsl`fn slope(raw: f32, b: u32, h: u32, i: u32, j: u32) -> f32 { return slopeOf(withBias(raw, b, h, i, j), i32(b), i32(h), i32(i) + params.qOffset, i32(j) + params.kvOffset); }`}
${learning?.text ?? ""}`;
}

/** The factor of raw scores: scores that nothing acts upon are in units of exp2 from the start. */
export const rawScale = (form: FlashForm): string => (isLoose(form) ? "params.scale" : `(params.scale * ${LOG2E})`);
