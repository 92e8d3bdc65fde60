// Template C, forward. A workgroup owns y · rows rows of q and walks over keys, x · keys at a step: kernels/tile-parts.ts.
//   s<r>_<t>, p<r>_<t>   score and weight of own row r and key t of a thread        o<r>_<c>   its columns of o
//   m<r>, l<r>           maximum of a row, which its threads agree on at each step, and sum of this thread's keys
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm, TileTemplate } from "../spec.ts";
import { overKeys } from "./blocks.ts";
import { judge } from "./cells.ts";
import { frame, frameParams, inputBindings, MASKED, range, rawScale, UNSEEN } from "./frame.ts";
import { keyWalk, lseOf, OUTPUT, outputParams, rowHeads } from "./rows.ts";
import { keySide, readX, readY } from "./sides.ts";
import { columns, join, product, storeColumns, storeWeights, sumUp, tileLayout, tileMemory } from "./tile-parts.ts";

export function tileForward(form: FlashForm, template: TileTemplate, { split }: { readonly split: boolean }): Kernel {
  const { x, y, rows, keys } = template;
  const layout = tileLayout(template, form);
  const { own, other } = layout;
  const quads = form.dv / 4;
  const [R, T, C] = [range(rows), range(keys), columns(quads, x)];
  const { of, head, index, q } = rowHeads(form);
  return defineKernel({
    name: `flash-forward C ${own}×${other}`,
    bindings: { ...inputBindings(form), o: "write array<vec4f>", lse: "write array<f32>" },
    params: { ...frameParams(form), ...outputParams },
    code: wgsl`
${frame(form)}
${OUTPUT}
${tileMemory(layout)}
@compute @workgroup_size(${x * y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % ${x}u;
  let ty = thread / ${x}u;
  let b = group.z / params.splits;
  let part = i32(group.z % params.splits);
  let row0 = (params.tiles - 1u - group.x) * ${own}u;
  ${of("group.y")}
  ${R.map((r) => [index(r, `min(row0 + ty * ${rows}u + ${r}u, params.rows - 1u)`), `var m${r} = ${UNSEEN}; var l${r} = 0.0;`, ...C.map((c) => `var o${r}_${c} = vec4f(0.0);`)])}
  ${keyWalk(form, "row0", `min(row0 + ${own - 1}u, params.rows - 1u)`, true)}
  ${overKeys(form, { first: form.packed ? "0u" : "row0", head: form.packed ? "0u" : "h", parted: true }, wgsl`
  for (var j0 = lo; j0 < hi; j0 += ${other}i) {
    ${T.map((t) => `let at_${t} = j0 + ${t * x}i + i32(tx); let j_${t} = ${keySide.clamp(`at_${t}`)};`)}
    ${R.map((r) => T.map((t) => `var s${r}_${t} = 0.0;`))}
    ${product(form, template, layout, "s", "params.depth", (n, c, into) => `${index("", `min(row0 + ${n}, params.rows - 1u)`)} ${into} = qRow(queryBase(b, ${head("")}, i), ${c}, ${q("i")}, i32(${head("")})) * ${rawScale(form)};`, readX(keySide, "j0"))}
    ${judge(form, R.flatMap((r) => T.map((t) => ({ raw: `s${r}_${t}`, score: `s${r}_${t}`, h: head(r), i: `i${r}`, j: `j_${t}` }))))}
    if (j0 < loEdge || j0 + ${other}i > min(hiEdge, hi)) {
      ${R.map((r) => [`let lo${r} = keyLo(${q(`i${r}`)}, b); let hi${r} = min(keyHi(${q(`i${r}`)}, b), hi);`, ...T.map((t) => `s${r}_${t} = select(${MASKED}, s${r}_${t}, (at_${t} >= lo${r}) & (at_${t} < hi${r}));`)])}
    }
    ${R.map((r) => `var n${r} = ${T.reduce((most, t) => `max(${most}, s${r}_${t})`, `m${r}`)};`)}
    ${join(template, "n", (a, c) => `max(${a}, ${c})`)}
    ${R.map((r) => [
      `let f${r} = exp2(m${r} - n${r}); m${r} = n${r};`,
      ...T.map((t) => `let p${r}_${t} = exp2(s${r}_${t} - n${r});`),
      `l${r} = l${r} * f${r} + ${T.map((t) => `p${r}_${t}`).join(" + ")};`,
      ...C.map((c) => `o${r}_${c} *= f${r};`),
    ])}
    ${storeWeights(template, layout, "p")}
    ${sumUp(form, template, layout, "o", quads, `min(${other}i, hi - j0)`, readY(keySide, "j0"))}
  }`)}
  ${join(template, "l", (a, c) => `${a} + ${c}`)}
  ${R.map((r) => wgsl`
  if (row0 + ty * ${rows}u + ${r}u < params.rows) {
    let whole = select(0.0, 1.0 / l${r}, l${r} > 0.0);
    let base = outputBase(b, ${head(r)}, i${r}, u32(part));
    ${storeColumns(quads, x, "o", "base", (c) => `o${r}_${c} * whole`)}
    if (tx == 0u) { lse[lseIndex(b, ${head(r)}, i${r}, u32(part))] = ${lseOf(split, `m${r}`, `l${r}`)}; }
  }`)}
}`,
  });
}
