import { wgsl } from "@polyhead/gpu";
import { expertBases, expertRows, type ExpertRowsOf } from "./experts.ts";
import type { MatmulSpec } from "./spec.ts";

/*
 * Reading A and B, seen alike: an operand has `rows` (M for A, N for B) and K. It lies along K when K is contiguous
 * (A as M × K, B as N × K), else across K. Rows past the end are clamped, since their sums are never stored;
 * steps past the end of K are zeroed in both operands, since 0 · NaN is NaN.
 */

interface Operand {
  readonly name: "a" | "b";
  readonly rows: string;
  readonly stride: string;
  readonly alongK: boolean;
  readonly vec: boolean;
  /** Where rows do not follow each other in memory. */
  readonly sorted?: ExpertRowsOf | undefined;
}

export const QUAD: readonly [0, 1, 2, 3] = [0, 1, 2, 3];

/** `a1`, `a4`: one number, or four from an index that is a multiple of 4, as f32. */
function words(name: "a" | "b", vec: boolean, half: boolean): string {
  if (!half) return vec ? wgsl`fn ${name}4(i: u32) -> vec4f { return ${name}[i >> 2u]; }` : wgsl`fn ${name}1(i: u32) -> f32 { return ${name}[i]; }`;
  return vec
    ? wgsl`fn ${name}4(i: u32) -> vec4f { let w = ${name}[i >> 2u]; return vec4f(unpack2x16float(w.x), unpack2x16float(w.y)); }`
    : wgsl`fn ${name}1(i: u32) -> f32 { return unpack2x16float(${name}[i >> 1u])[i & 1u]; }`;
}

/** `loadA(base, row, k)`: along K, four k of one row; across K, four rows at one k. */
function loader({ name, rows, stride, alongK, vec, sorted }: Operand, guard: boolean): string {
  const { row = `min(row, ${rows} - 1u)`, step = (k: string): string => k, inner = "params.k" } = sorted ?? {};
  const head = `fn load${name.toUpperCase()}(base: u32, row: u32, k: u32) -> vec4f`;
  const four = (at: string): string => `vec4f(${QUAD.map((i) => `${name}1(at + ${at}[${i}])`).join(", ")})`;
  const safeK = step(guard ? `min(k, ${inner} - 1u)` : "k");
  const zeroed = (value: string): string => (guard ? `select(vec4f(0.0), ${value}, k < ${inner})` : value);
  if (alongK && vec) {
    const k = guard ? "min(k, params.k - 4u)" : "k";
    return wgsl`${head} { return ${zeroed(`${name}4(base + ${row} * ${stride} + ${k})`)}; }`;
  }
  if (alongK) {
    return wgsl`${head} {
  let at = base + ${row} * ${stride};
  let i = vec4u(k, k + 1u, k + 2u, k + 3u);
  let j = ${guard ? "min(i, vec4u(params.k - 1u))" : "i"};
  let v = ${four("j")};
  return ${guard ? "select(vec4f(0.0), v, i < vec4u(params.k))" : "v"};
}`;
  }
  if (vec) return wgsl`${head} { return ${zeroed(`${name}4(base + ${safeK} * ${stride} + min(row, ${rows} - 4u))`)}; }`;
  return wgsl`${head} {
  let at = base + ${safeK} * ${stride};
  let j = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(${rows} - 1u));
  return ${zeroed(four("j"))};
}`;
}

/** Loaders of both operands. `guard` makes any k safe to ask for, not only those below K. */
export function loaders(spec: MatmulSpec, guard: boolean): string {
  const { declarations, a, b } = expertRows(spec);
  return wgsl`${[
    ...declarations,
    words("a", spec.vecA, false),
    words("b", spec.vecB, spec.half),
    loader({ name: "a", rows: "params.m", stride: "params.lda", alongK: !spec.transA, vec: spec.vecA, sorted: a }, guard),
    loader({ name: "b", rows: "params.n", stride: "params.ldb", alongK: spec.transB, vec: spec.vecB, sorted: b }, guard),
  ]}`;
}

/**
 * Declares `b0_<id>` to `b3_<id>`: four columns of B from `column`, at k, k+1, k+2, k+3. Along K this is a transpose in
 * registers.
 */
export function quadOfB(spec: MatmulSpec, id: string | number, column: string, k: string): string {
  if (!spec.transB) return wgsl`${QUAD.map((i) => `let b${i}_${id} = loadB(bBase, ${column}, ${k} + ${i}u);`)}`;
  return wgsl`${[
    ...QUAD.map((j) => `let t${j}_${id} = loadB(bBase, ${column} + ${j}u, ${k});`),
    ...QUAD.map((i) => `let b${i}_${id} = vec4f(${QUAD.map((j) => `t${j}_${id}[${i}]`).join(", ")});`),
  ]}`;
}

/** How long K is for this workgroup. */
export const innerOf = ({ experts }: MatmulSpec): string => (experts === undefined ? "params.k" : "span");

/** Declares where this workgroup's batch starts. `group.z` counts over up to three batch axes. */
export const basesOf = ({ experts }: MatmulSpec): string => (experts === undefined ? BATCH_BASES : expertBases(experts));

const BATCH_BASES = wgsl`
  let batch = vec3u(group.z / (params.n1 * params.n2), (group.z / params.n2) % params.n1, group.z % params.n2);
  let aStart = params.aAt + dot(batch, vec3u(params.a0, params.a1, params.a2));
  let bStart = params.bAt + dot(batch, vec3u(params.b0, params.b1, params.b2));
  let cBase = params.cAt + dot(batch, vec3u(params.c0, params.c1, params.c2));`;

/** Wraps the walk over K into the walk over a summed batch axis, where there is one. */
export function overReduced(spec: MatmulSpec, walk: string): string {
  if (!spec.reduce) return wgsl`let aBase = aStart; let bBase = bStart;
${walk}`;
  return wgsl`for (var fold = 0u; fold < params.folds; fold++) {
let aBase = aStart + fold * params.aFold; let bBase = bStart + fold * params.bFold;
${walk}
}`;
}
