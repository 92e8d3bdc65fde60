// Template A, forward. One subgroup owns `rows` rows of q and walks over keys, lanes · keys at a step.
//   scores   lane l holds keys j0 + l, j0 + lanes + l, …: s<r>_<t>, one for each row r; rows of q are broadcast
//   sums     lane l holds columns l, lanes + l, … of o, in pieces of `width` elements: o<r>_<c>; weights are shuffled
//   m, l     maximum (the same in all lanes) and sum (of this lane's keys) of each row
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm, SubgroupTemplate } from "../spec.ts";
import { overKeys } from "./blocks.ts";
import { fmaDot, judge } from "./cells.ts";
import { frame, frameParams, inputBindings, MASKED, range, rawScale, UNSEEN } from "./frame.ts";
import { keyWalk, lseOf, OUTPUT, outputParams, rowHeads } from "./rows.ts";

/** Elements of a column piece: four, or two where four would leave lanes idle. */
export const pieceWidth = (size: number, lanes: number): 2 | 4 => (size / 4 < lanes ? 2 : 4);

/** max over the lanes of a subgroup by a butterfly: every lane ends with it. */
export const butterflyMax = (name: string, lanes: number): string[] => range(Math.log2(lanes)).map((step) => `${name} = max(${name}, subgroupShuffleXor(${name}, ${lanes >> (step + 1)}u));`);

/**
 * Brings what lanes 4, 5, … hold to lanes 0, 1, …: at the end of a round of four broadcasts. One shuffle and four broadcasts
 * from lanes that the code names cost less than four shuffles from lanes that it counts.
 */
export const turn = (name: string, lanes: number): string => (lanes > 4 ? `${name} = subgroupShuffle(${name}, (lane + 4u) % ${lanes}u);` : "");

/** Weights of key group `t` in a loop over groups, without an indexed array. */
export const ofGroup = (name: string, keys: number): string => range(keys).slice(1).reduce((before, t) => `select(${before}, ${name}_${t}, t == ${t}u)`, `${name}_0`);

export function subgroupForward(form: FlashForm, template: SubgroupTemplate, { split }: { readonly split: boolean }): Kernel {
  const { dv } = form;
  const { lanes, rows, keys, subgroups } = template;
  const width = pieceWidth(dv, lanes);
  const pieces = dv / width;
  const columns = Math.ceil(pieces / lanes);
  const piece = `vec${width}f`;
  const step = lanes * keys;
  const quads = Math.ceil(rows / lanes);
  const R = range(rows);
  const T = range(keys);
  const C = range(columns);
  const column = (c: number): string => (pieces % lanes === 0 ? `${c * lanes}u + lane` : `min(${c * lanes}u + lane, ${pieces - 1}u)`);
  const laneRow = rows < lanes ? `lane % ${rows}u` : "lane";
  const { of, head, index, q } = rowHeads(form);
  return defineKernel({
    name: `flash-forward A ${rows}×${step}`,
    bindings: { ...inputBindings(form, width), o: `write array<${piece}>`, lse: "write array<f32>" },
    params: { ...frameParams(form), ...outputParams },
    enable: ["subgroups"],
    code: wgsl`
${frame(form, { width })}
${OUTPUT}
@compute @workgroup_size(${lanes * subgroups}) @diagnostic(off, subgroup_uniformity)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let b = group.z / params.splits;
  let part = i32(group.z % params.splits);
  let row0 = (params.tiles - 1u - group.x) * ${rows * subgroups}u${subgroups > 1 ? ` + thread / ${lanes}u * ${rows}u` : ""};
  ${of("group.y")}
  ${R.map((r) => [index(r, `min(row0 + ${r}u, params.rows - 1u)`), `var m${r} = ${UNSEEN}; var l${r} = 0.0;`, ...C.map((c) => `var o${r}_${c} = ${piece}(0.0);`)])}
  ${keyWalk(form, "i0", `i${rows - 1}`, true)}
  ${range(quads).map((a) => `let own${a} = min(row0 + ${a * lanes}u + ${laneRow}, params.rows - 1u); ${rowOf(form, `own${a}`, a)}`)}
  ${overKeys(form, { first: form.packed ? "0u" : "i0", head: form.packed ? "0u" : "h", parted: true }, wgsl`
  for (var j0 = lo; j0 < hi; j0 += ${step}i) {
    ${T.map((t) => `let j_${t} = u32(clamp(j0 + ${t * lanes}i + i32(lane), firstJ, lastJ)); let kb_${t} = keyBase(b, hk, j_${t});`)}
    ${R.map((r) => T.map((t) => `var s${r}_${t} = 0.0;`))}
    for (var d = 0u; d < params.depth; d++) {
      ${range(quads).map((a) => `let qv${a} = qRow(qb${a}, d, qp${a}, qh${a}) * ${rawScale(form)};`)}
      ${T.map((t) => `let k_${t} = kRow(kb_${t}, d, i32(j_${t}) + params.kvOffset, i32(hk));`)}
      ${R.map((r) => [`let a${r} = subgroupBroadcast(qv${Math.floor(r / lanes)}, ${r % lanes}u);`, ...T.map((t) => `s${r}_${t} = ${fmaDot(`a${r}`, `k_${t}`, `s${r}_${t}`)};`)])}
    }
    ${judge(form, R.flatMap((r) => T.map((t) => ({ raw: `s${r}_${t}`, score: `s${r}_${t}`, h: head(r), i: `i${r}`, j: `j_${t}` }))))}
    if (j0 < loEdge || j0 + ${step}i > min(hiEdge, hi)) {
      ${R.map((r) => [`let lo${r} = max(keyLo(${q(`i${r}`)}, b), lo); let hi${r} = min(keyHi(${q(`i${r}`)}, b), hi);`, ...T.map((t) => `s${r}_${t} = select(${MASKED}, s${r}_${t}, (j0 + ${t * lanes}i + i32(lane) >= lo${r}) & (j0 + ${t * lanes}i + i32(lane) < hi${r}));`)])}
    }
    ${R.map((r) => [
      `var n${r} = ${T.map((t) => `s${r}_${t}`).reduce((x, y) => `max(${x}, ${y})`)};`,
      ...butterflyMax(`n${r}`, lanes),
      `n${r} = max(m${r}, n${r}); let f${r} = exp2(m${r} - n${r}); m${r} = n${r};`,
      ...T.map((t) => `let p${r}_${t} = exp2(s${r}_${t} - n${r});`),
      `l${r} = l${r} * f${r} + (${T.map((t) => `p${r}_${t}`).join(" + ")});`,
      ...C.map((c) => `o${r}_${c} *= f${r};`),
    ])}
    for (var t = 0u; t < params.sets; t++) {
      ${R.map((r) => `var p${r} = ${ofGroup(`p${r}`, keys)};`)}
      for (var n = 0u; n < params.lanes; n += 4u) {
        ${range(4).map((i) => [`let vb${i} = valueBase(b, hk, u32(clamp(j0 + i32(t * ${lanes}u + n + ${i}u), firstJ, lastJ)));`, ...C.map((c) => `let v${i}_${c} = vRow(vb${i}, ${column(c)});`)])}
        ${R.map((r) => [...range(4).map((i) => `let w${r}_${i} = subgroupBroadcast(p${r}, ${i}u);`), ...C.map((c) => `o${r}_${c} = ${range(4).reduce((sum, i) => `fma(${piece}(w${r}_${i}), v${i}_${c}, ${sum})`, `o${r}_${c}`)};`), turn(`p${r}`, lanes)])}
      }
    }
  }`)}
  ${R.map((r) => [
    `let sum${r} = subgroupAdd(l${r});`,
    `if (row0 + ${r}u < params.rows) {`,
    `  let whole = select(0.0, 1.0 / sum${r}, sum${r} > 0.0);`,
    ...C.map((c) => `  ${(c + 1) * lanes > pieces ? `if (${c * lanes}u + lane < ${pieces}u) ` : ""}{ o[${width === 2 ? "2u * " : ""}outputBase(b, ${head(r)}, i${r}, u32(part)) + ${c * lanes}u + lane] = o${r}_${c} * whole; }`),
    `  if (lane == 0u) { lse[lseIndex(b, ${head(r)}, i${r}, u32(part))] = ${lseOf(split, `m${r}`, `sum${r}`)}; }`,
    "}",
  ])}
}`,
  });
}

/** Where the row that a lane fetches starts, and what its qk hook wants to know. */
function rowOf({ packed }: FlashForm, row: string, a: number): string {
  const [h, i] = packed ? [`hk * params.group + ${row} / params.queries`, `${row} % params.queries`] : ["h", row];
  return `let qb${a} = queryBase(b, ${h}, ${i}); let qp${a} = i32(${i}) + params.qOffset; let qh${a} = i32(${h});`;
}
