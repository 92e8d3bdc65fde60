// Template A, backward. One subgroup owns `rows` rows of one side and walks over the other side, lanes · keys rows at a step.
//   dq   rows are queries, lanes hold keys          dkv   rows are keys, lanes hold queries, over all heads of the group
//   s<r>_<t>, dp<r>_<t>   raw score and g · v of row r and lane row t;   p weight, e gradient of the raw score
//   x<r>_<c>, y<r>_<c>    sums of e · (k or q) and p · g: lane l holds columns l, lanes + l, … in pieces of `width` elements
// ds = p (dp − Δ) ∂hooks/∂s, and 0 where p is: there dp and the derivative may be anything.
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm, SubgroupTemplate } from "../spec.ts";
import { backwardBindings, BACKWARD_PARAMS, giveCells, learnt, outputOf, queryWalk, wantsSlope, type Emit } from "./backward-frame.ts";
import { overKeys, overQueries } from "./blocks.ts";
import { cellOf, differentiate, fmaDot, judge } from "./cells.ts";
import { frame, frameParams, MASKED, range, rawScale } from "./frame.ts";
import { keyWalk } from "./rows.ts";
import { ofGroup, pieceWidth, turn } from "./subgroup-forward.ts";

interface Columns {
  readonly width: 2 | 4;
  readonly count: number;
  readonly piece: string;
  /** The piece that slot c of a lane holds, kept inside of the row. */
  readonly at: (c: number) => string;
  /** Whether slot c of a lane exists, as a WGSL guard. */
  readonly guard: (c: number) => string;
}

function columnsOf(size: number, lanes: number): Columns {
  const width = pieceWidth(size, lanes);
  const pieces = size / width;
  return {
    width,
    count: Math.ceil(pieces / lanes),
    piece: `vec${width}f`,
    at: (c) => (pieces % lanes === 0 ? `${c * lanes}u + lane` : `min(${c * lanes}u + lane, ${pieces - 1}u)`),
    guard: (c) => ((c + 1) * lanes > pieces ? `if (${c * lanes}u + lane < ${pieces}u) ` : ""),
  };
}

/** A piece of a row that is read in groups of four. */
const pieceOf = ({ width }: Columns, name: string, read: (group: string) => string, at: string): string =>
  width === 4 ? `let ${name} = ${read(at)};` : `let ${name}_4 = ${read(`(${at}) / 2u`)}; let ${name} = select(${name}_4.xy, ${name}_4.zw, ((${at}) & 1u) == 1u);`;

/** Scores and g · v of all rows against what the lanes hold. `own` and `other` read group d of a row or lane row. */
function products(r: readonly number[], t: readonly number[], lanes: number, name: string, depth: string, own: (a: number) => string, other: (t: number) => string): string {
  const rows = r.length;
  return wgsl`
      for (var d = 0u; d < ${depth}; d++) {
        ${range(Math.ceil(rows / lanes)).map((a) => `let own${a} = ${own(a)};`)}
        ${t.map((n) => `let other${n} = ${other(n)};`)}
        ${r.map((i) => [`let a${i} = subgroupBroadcast(own${Math.floor(i / lanes)}, ${i % lanes}u);`, ...t.map((n) => `${name}${i}_${n} = ${fmaDot(`a${i}`, `other${n}`, `${name}${i}_${n}`)};`)])}
      }`;
}

const laneRowOf = (rows: number, lanes: number): string => (rows < lanes ? `lane % ${rows}u` : "lane");

export function subgroupDq(form: FlashForm, { lanes, rows, keys, subgroups }: SubgroupTemplate, emit: Emit): Kernel {
  const R = range(rows);
  const T = range(keys);
  const columns = columnsOf(form.d, lanes);
  const C = range(columns.count);
  const step = lanes * keys;
  const slope = wantsSlope(form, emit);
  const cells = R.flatMap((r) => T.map((t) => cellOf(`${r}_${t}`, `i${r}`, `j_${t}`, `ld${r}`)));
  return defineKernel({
    name: `flash-${emit} A ${rows}×${step}`,
    bindings: { ...backwardBindings(form), out: outputOf(emit, columns.piece) },
    params: { ...frameParams(form), ...BACKWARD_PARAMS },
    enable: ["subgroups"],
    code: wgsl`
${frame(form, { backward: true, slope, learn: emit === "learn" })}
@compute @workgroup_size(${lanes * subgroups}) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let b = group.z;
  let h = group.y;
  let hk = h / params.group;
  let row0 = (params.tiles - 1u - group.x) * ${rows * subgroups}u${subgroups > 1 ? ` + thread / ${lanes}u * ${rows}u` : ""};
  ${R.map((r) => [`let i${r} = min(row0 + ${r}u, params.queries - 1u); let ld${r} = ld[(b * params.heads + h) * params.queries + i${r}];`, ...C.map((c) => `var x${r}_${c} = ${columns.piece}(0.0);`)])}
  ${keyWalk(form, "i0", `i${rows - 1}`, false)}
  ${range(Math.ceil(rows / lanes)).map((a) => `let mine${a} = min(row0 + ${a * lanes}u + ${laneRowOf(rows, lanes)}, params.queries - 1u); let qb${a} = queryBase(b, h, mine${a}); let gb${a} = gradientBase(b, h, mine${a}); let qp${a} = i32(mine${a}) + params.qOffset;`)}
  ${overKeys(form, { first: "i0", head: "h", parted: false }, wgsl`
  for (var j0 = lo; j0 < hi; j0 += ${step}i) {
    ${T.map((t) => `let j_${t} = u32(clamp(j0 + ${t * lanes}i + i32(lane), firstJ, lastJ)); let kb_${t} = keyBase(b, hk, j_${t}); let vb_${t} = valueBase(b, hk, j_${t});`)}
    ${R.map((r) => T.map((t) => `var s${r}_${t} = 0.0; var dp${r}_${t} = 0.0;`))}
    ${products(R, T, lanes, "s", "params.depth", (a) => `qRow(qb${a}, d, qp${a}, i32(h)) * ${rawScale(form)}`, (t) => `kRow(kb_${t}, d, i32(j_${t}) + params.kvOffset, i32(hk))`)}
    ${products(R, T, lanes, "dp", "params.depthV", (a) => `g[gb${a} + d]`, (t) => `vRow(vb_${t}, d)`)}
    ${judge(form, cells)}
    if (j0 < loEdge || j0 + ${step}i > min(hiEdge, hi)) {
      ${R.map((r) => [`let lo${r} = keyLo(i32(i${r}) + params.qOffset, b); let hi${r} = min(keyHi(i32(i${r}) + params.qOffset, b), hi);`, ...T.map((t) => `c${r}_${t} = select(${MASKED}, c${r}_${t}, (j0 + ${t * lanes}i + i32(lane) >= lo${r}) & (j0 + ${t * lanes}i + i32(lane) < hi${r}));`)])}
    }
    ${differentiate(form, cells, slope)}
    ${emit === "dq" ? wgsl`
    for (var t = 0u; t < params.sets; t++) {
      ${R.map((r) => `var e${r} = ${ofGroup(`e${r}`, keys)};`)}
      for (var n = 0u; n < params.lanes; n += 4u) {
        ${range(4).map((i) => [`let at${i} = u32(clamp(j0 + i32(t * ${lanes}u + n + ${i}u), firstJ, lastJ)); let wb${i} = keyBase(b, hk, at${i});`, ...C.map((c) => pieceOf(columns, `w${i}_${c}`, (d) => `kRow(wb${i}, ${d}, i32(at${i}) + params.kvOffset, i32(hk))`, columns.at(c)))])}
        ${R.map((r) => [...range(4).map((i) => `let f${r}_${i} = subgroupBroadcast(e${r}, ${i}u);`), ...C.map((c) => `x${r}_${c} = ${range(4).reduce((sum, i) => `fma(${columns.piece}(f${r}_${i}), w${i}_${c}, ${sum})`, `x${r}_${c}`)};`), turn(`e${r}`, lanes)])}
      }
    }` : giveCells(form, emit, cells, (n) => `row0 + ${Math.floor(n / keys)}u < params.queries`, (n) => `((b * params.heads + h) * params.queries + i${Math.floor(n / keys)})`)}
  }`)}
  ${emit === "dq" ? R.map((r) => [`if (row0 + ${r}u < params.queries) {`, ...C.map((c) => `  ${columns.guard(c)}{ out[((b * params.heads + h) * params.queries + i${r}) * ${form.d / columns.width}u + ${c * lanes}u + lane] = x${r}_${c} * params.scale; }`), "}"]) : learnt(emit)}
}`,
  });
}

export function subgroupDkv(form: FlashForm, { lanes, rows, keys, subgroups }: SubgroupTemplate): Kernel {
  const R = range(rows);
  const T = range(keys);
  const [kc, vc] = [columnsOf(form.d, lanes), columnsOf(form.dv, lanes)];
  // One array holds both gradients, so they are stored by one type.
  const width = Math.min(kc.width, vc.width);
  const [KC, VC] = [range(kc.count), range(vc.count)];
  const step = lanes * keys;
  const slope = form.program.slope !== undefined;
  const cells = R.flatMap((r) => T.map((t) => cellOf(`${r}_${t}`, `i_${t}`, `j${r}`, `ld_${t}`)));
  const store = (base: string, columns: Columns, c: number, value: string): string =>
    columns.width === width
      ? `${columns.guard(c)}{ out[${base} + ${c * lanes}u + lane] = ${value}; }`
      : `${columns.guard(c)}{ let whole = ${value}; out[${base} + 2u * (${c * lanes}u + lane)] = whole.xy; out[${base} + 2u * (${c * lanes}u + lane) + 1u] = whole.zw; }`;
  return defineKernel({
    name: `flash-dkv A ${rows}×${step}`,
    bindings: { ...backwardBindings(form), out: `write array<vec${width}f>` },
    params: { ...frameParams(form), ...BACKWARD_PARAMS },
    enable: ["subgroups"],
    code: wgsl`
${frame(form, { backward: true, slope })}
@compute @workgroup_size(${lanes * subgroups}) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let b = group.z;
  let hk = group.y;
  let row0 = group.x * ${rows * subgroups}u${subgroups > 1 ? ` + thread / ${lanes}u * ${rows}u` : ""};
  ${queryWalk(rows)}
  // Rows past the last usable key stand in for it; their sums are not stored, or stored as zeros.
  ${R.map((r) => [`let j${r} = row0 + ${r}u; let in${r} = (i32(j${r}) >= firstKey(b)) & (i32(j${r}) < endKey(b));`, ...KC.map((c) => `var x${r}_${c} = ${kc.piece}(0.0);`), ...VC.map((c) => `var y${r}_${c} = ${vc.piece}(0.0);`)])}
  ${range(Math.ceil(rows / lanes)).map((a) => `let mine${a} = u32(clamp(i32(row0 + ${a * lanes}u + ${laneRowOf(rows, lanes)}), firstJ, lastJ)); let kb${a} = keyBase(b, hk, mine${a}); let vb${a} = valueBase(b, hk, mine${a}); let kp${a} = i32(mine${a}) + params.kvOffset;`)}
  for (var member = 0u; member < params.group; member++) {
    let h = hk * params.group + member;
    ${overQueries(form, wgsl`
    for (var i0 = lo; i0 < hi; i0 += ${step}i) {
      ${T.map((t) => `let i_${t} = min(u32(i0) + ${t * lanes}u + lane, params.queries - 1u); let qb_${t} = queryBase(b, h, i_${t}); let gb_${t} = gradientBase(b, h, i_${t}); let ld_${t} = ld[(b * params.heads + h) * params.queries + i_${t}];`)}
      ${R.map((r) => T.map((t) => `var s${r}_${t} = 0.0; var dp${r}_${t} = 0.0;`))}
      ${products(R, T, lanes, "s", "params.depth", (a) => `kRow(kb${a}, d, kp${a}, i32(hk))`, (t) => `qRow(qb_${t}, d, i32(i_${t}) + params.qOffset, i32(h)) * ${rawScale(form)}`)}
      ${products(R, T, lanes, "dp", "params.depthV", (a) => `vRow(vb${a}, d)`, (t) => `g[gb_${t} + d]`)}
      ${judge(form, cells)}
      if (i0 < edgeLo || i0 + ${step}i > min(edgeHi, hi) || edgeRows) {
        ${T.map((t) => [`let lo_${t} = keyLo(i32(i_${t}) + params.qOffset, b); let hi_${t} = select(0i, keyHi(i32(i_${t}) + params.qOffset, b), i0 + ${t * lanes}i + i32(lane) < hi);`, ...R.map((r) => `c${r}_${t} = select(${MASKED}, c${r}_${t}, in${r} & (i32(j${r}) >= lo_${t}) & (i32(j${r}) < hi_${t}));`)])}
      }
      ${differentiate(form, cells, slope)}
      for (var t = 0u; t < params.sets; t++) {
        ${R.map((r) => `var e${r} = ${ofGroup(`e${r}`, keys)}; var p${r} = ${ofGroup(`p${r}`, keys)};`)}
        for (var n = 0u; n < params.lanes; n += 4u) {
          ${range(4).map((i) => [
            `let at${i} = min(u32(i0) + t * ${lanes}u + n + ${i}u, params.queries - 1u); let wb${i} = queryBase(b, h, at${i}); let ub${i} = gradientBase(b, h, at${i});`,
            ...KC.map((c) => pieceOf(kc, `w${i}_${c}`, (d) => `qRow(wb${i}, ${d}, i32(at${i}) + params.qOffset, i32(h))`, kc.at(c))),
            ...VC.map((c) => pieceOf(vc, `u${i}_${c}`, (d) => `g[ub${i} + ${d}]`, vc.at(c))),
          ])}
          ${R.map((r) => [
            ...range(4).map((i) => `let f${r}_${i} = subgroupBroadcast(e${r}, ${i}u); let o${r}_${i} = subgroupBroadcast(p${r}, ${i}u);`),
            ...KC.map((c) => `x${r}_${c} = ${range(4).reduce((sum, i) => `fma(${kc.piece}(f${r}_${i}), w${i}_${c}, ${sum})`, `x${r}_${c}`)};`),
            ...VC.map((c) => `y${r}_${c} = ${range(4).reduce((sum, i) => `fma(${vc.piece}(o${r}_${i}), u${i}_${c}, ${sum})`, `y${r}_${c}`)};`),
            turn(`e${r}`, lanes),
            turn(`p${r}`, lanes),
          ])}
        }
      }
    }`)}
  }
  ${R.map((r) => [
    `if (j${r} < params.keyRows) {`,
    `  let row = (b * params.kvHeads + hk) * params.keyRows + j${r};`,
    ...KC.map((c) => `  ${store(`row * ${form.d / width}u`, kc, c, `select(${kc.piece}(0.0), x${r}_${c} * params.scale, in${r})`)}`),
    ...VC.map((c) => `  ${store(`${4 / width}u * params.dvAt + row * ${form.dv / width}u`, vc, c, `select(${vc.piece}(0.0), y${r}_${c}, in${r})`)}`),
    "}",
  ])}
}`,
  });
}
