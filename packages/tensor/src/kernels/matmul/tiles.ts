import { wgsl } from "@polyhead/gpu";
import { basesOf, innerOf, loaders, overReduced, quadOfB } from "./access.ts";
import { storer } from "./epilogue.ts";
import type { MatmulSpec, RegisterTemplate, SubgroupTemplate, WorkgroupTemplate } from "./spec.ts";

/*
 * Legend. A thread holds sums `c<row>_<quad>`, a vec4 of neighbouring columns each. A step of K is four wide:
 * `b<k>_<quad>` are four columns of B at k; `a<row>` four k of a row of A (A along K), or `a<group>_<k>` four rows of A at
 * one k (A across K). Unrolled by hand, since drivers keep named values in registers and indexed arrays in memory.
 */

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

interface Tile {
  readonly rows: number;
  readonly quads: number;
}

const sums = ({ rows, quads }: Tile): string[] => range(rows).flatMap((r) => range(quads).map((q) => `var c${r}_${q} = vec4f(0.0);`));

/**
 * All products of one step. `a(row)` (A along K) gives four k of a row, `aAcross(group, k)` (A across K) four rows at a k;
 * each is read once, right before its use, to keep few values alive.
 */
function products({ rows, quads }: Tile, transA: boolean, a: (row: number) => string, aAcross: (group: number, k: number) => string): string[] {
  if (!transA) {
    return range(rows).flatMap((r) => [`let a${r} = ${a(r)};`, ...range(4).flatMap((k) => range(quads).map((q) => `c${r}_${q} += a${r}[${k}] * b${k}_${q};`))]);
  }
  return range(rows / 4).flatMap((g) => [
    ...range(4).map((k) => `let a${g}_${k} = ${aAcross(g, k)};`),
    ...range(4).flatMap((i) => range(4).flatMap((k) => range(quads).map((q) => `c${4 * g + i}_${q} += a${g}_${k}[${i}] * b${k}_${q};`))),
  ]);
}

/**
 * Stores the tile. The epilogue is compiled once a quad, in a loop over rows, not once a row: with an activation in it,
 * unrolling takes software GPUs seconds to compile.
 */
function stores({ rows, quads }: Tile, spec: MatmulSpec, row: string, column: (quad: number) => string): string[] {
  const plain = spec.vecC && spec.epilogue.activation === undefined;
  if (plain) return range(rows).flatMap((r) => range(quads).map((q) => `store(group.z, cBase, ${row} + ${r}u, ${column(q)}, c${r}_${q});`));
  return range(quads).flatMap((q) => [
    `var done${q} = array<vec4f, ${rows}>(${range(rows).map((r) => `c${r}_${q}`).join(", ")});`,
    `for (var r = 0u; r < ${rows}u; r++) { store(group.z, cBase, ${row} + r, ${column(q)}, done${q}[r]); }`,
  ]);
}

/** See `SubgroupTemplate`. */
export function subgroupTile(spec: MatmulSpec, t: SubgroupTemplate): string {
  const { lanes, rows } = t;
  const column = (q: number): string => `column0 + ${q * lanes * 4}u`;
  // A along K: lane l holds rows l, l + lanes, …. A across K: the lanes hold groups × 4 k in that order, k slowest.
  const groups = rows / 4;
  const kPerLoad = Math.min(4, Math.max(1, Math.floor(lanes / groups)));
  const loadsAcross = groups <= lanes ? 4 / kPerLoad : (4 * groups) / lanes;
  const laneRow = rows < lanes ? `lane % ${rows}u` : "lane";
  const loadAlong = (i: number): string => `let av${i} = loadA(aBase, row0 + ${i * lanes}u + ${laneRow}, k);`;
  const loadAcross = (i: number): string =>
    groups <= lanes
      ? `let av${i} = loadA(aBase, row0 + (lane % ${groups}u) * 4u, k + ${i * kPerLoad}u + (lane / ${groups}u) % ${kPerLoad}u);`
      : `let av${i} = loadA(aBase, row0 + (${(i * lanes) % groups}u + lane) * 4u, k + ${Math.floor((i * lanes) / groups)}u);`;
  const across = (g: number, k: number): string => {
    const place = groups <= lanes ? (k % kPerLoad) * groups + g : (k * groups + g) % lanes;
    const load = groups <= lanes ? Math.floor(k / kPerLoad) : Math.floor((k * groups + g) / lanes);
    return `subgroupBroadcast(av${load}, ${place}u)`;
  };
  return wgsl`
${loaders(spec, spec.ragged)}
${storer(spec)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
${basesOf(spec)}
  let row0 = group.y * ${rows}u;
  let column0 = group.x * ${lanes * 4 * t.quads}u + lane * 4u;
  ${sums(t)}
${overReduced(
  spec,
  wgsl`for (var k = 0u; k < ${innerOf(spec)}; k += 4u) {
  ${spec.transA ? range(loadsAcross).map(loadAcross) : range(Math.ceil(rows / lanes)).map(loadAlong)}
  ${range(t.quads).map((q) => quadOfB(spec, q, column(q), "k"))}
  ${products(t, spec.transA, (r) => `subgroupBroadcast(av${Math.floor(r / lanes)}, ${r % lanes}u)`, across)}
}`,
)}
  ${stores(t, spec, "row0", column)}
}`;
}

/** See `RegisterTemplate`. */
export function registerTile(spec: MatmulSpec, t: RegisterTemplate): string {
  const column = (q: number): string => `column0 + ${q * t.x * 4}u`;
  return wgsl`
${loaders(spec, spec.ragged)}
${storer(spec)}
@compute @workgroup_size(${t.x * t.y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
${basesOf(spec)}
  let row0 = group.y * ${t.rows * t.y}u${t.y > 1 ? ` + thread / ${t.x}u * ${t.rows}u` : ""};
  let column0 = group.x * ${t.x * 4 * t.quads}u + thread % ${t.x}u * 4u;
  ${sums(t)}
${overReduced(
  spec,
  wgsl`for (var k = 0u; k < ${innerOf(spec)}; k += 4u) {
  ${range(t.quads).map((q) => quadOfB(spec, q, column(q), "k"))}
  ${products(
    t,
    spec.transA,
    (r) => `loadA(aBase, row0 + ${r}u, k)`,
    (g, k) => `loadA(aBase, row0 + ${4 * g}u, k + ${k}u)`,
  )}
}`,
)}
  ${stores(t, spec, "row0", column)}
}`;
}

/** Workgroup memory that a tile takes. */
export const workgroupBytes = (t: WorkgroupTemplate): number => 4 * t.depth * (t.y * t.rows + 4 * t.x * t.quads);

/** See `WorkgroupTemplate`. A's slice lies as A does; B's is stored by k, transposed on the way in where need be. */
export function workgroupTile(spec: MatmulSpec, t: WorkgroupTemplate): string {
  const { x, y, rows, quads, depth } = t;
  const threads = x * y;
  const [groupsM, groupsN, groupsK] = [(y * rows) / 4, x * quads, depth / 4];
  const column = (q: number): string => `column0 + (tx + ${q * x}u) * 4u`;
  const fillA = spec.transA
    ? wgsl`for (var i = thread; i < ${depth * groupsM}u; i += ${threads}u) {
    sliceA[i] = loadA(aBase, row0 + i % ${groupsM}u * 4u, begin + i / ${groupsM}u);
  }`
    : wgsl`for (var i = thread; i < ${y * rows * groupsK}u; i += ${threads}u) {
    sliceA[i] = loadA(aBase, row0 + i / ${groupsK}u, begin + i % ${groupsK}u * 4u);
  }`;
  const fillB = spec.transB
    ? wgsl`for (var i = thread; i < ${groupsK * groupsN}u; i += ${threads}u) {
    let k4 = i % ${groupsK}u; let n4 = i / ${groupsK}u;
    ${quadOfB(spec, "in", "column0 + n4 * 4u", "begin + k4 * 4u")}
    ${range(4).map((k) => `sliceB[(k4 * 4u + ${k}u) * ${groupsN}u + n4] = b${k}_in;`)}
  }`
    : wgsl`for (var i = thread; i < ${depth * groupsN}u; i += ${threads}u) {
    sliceB[i] = loadB(bBase, column0 + i % ${groupsN}u * 4u, begin + i / ${groupsN}u);
  }`;
  return wgsl`
var<workgroup> sliceA: array<vec4f, ${depth * groupsM}>;
var<workgroup> sliceB: array<vec4f, ${depth * groupsN}>;
${loaders(spec, true)}
${storer(spec)}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
${basesOf(spec)}
  let tx = thread % ${x}u; let ty = thread / ${x}u;
  let row0 = group.y * ${y * rows}u;
  let column0 = group.x * ${groupsN * 4}u;
  ${sums(t)}
${overReduced(
  spec,
  wgsl`for (var begin = 0u; begin < ${innerOf(spec)}; begin += ${depth}u) {
  workgroupBarrier();
  ${fillA}
  ${fillB}
  workgroupBarrier();
  for (var k4 = 0u; k4 < ${groupsK}u; k4++) {
    ${range(4).flatMap((k) => range(quads).map((q) => `let b${k}_${q} = sliceB[(k4 * 4u + ${k}u) * ${groupsN}u + tx + ${q * x}u];`))}
    ${products(
      t,
      spec.transA,
      (r) => `sliceA[(ty * ${rows}u + ${r}u) * ${groupsK}u + k4]`,
      (g, k) => `sliceA[(k4 * 4u + ${k}u) * ${groupsM}u + ty * ${rows / 4}u + ${g}u]`,
    )}
  }
}`,
)}
  ${stores(t, spec, `row0 + ty * ${rows}u`, column)}
}`;
}
