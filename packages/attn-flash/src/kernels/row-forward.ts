// Template B, forward. A thread owns a row of q (`own`) and of o (`sums`), and walks over keys, `keys` at a step. All threads of
// a workgroup read the same keys at the same time.
//   s<t>, p<t>   score and weight of key t of the step        m, l   maximum and sum of its row
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm, RowTemplate } from "../spec.ts";
import { overKeys } from "./blocks.ts";
import { fmaDot, judge } from "./cells.ts";
import { frame, frameParams, inputBindings, MASKED, range, rawScale, UNSEEN } from "./frame.ts";
import { each, walk } from "./row-parts.ts";
import { keyWalk, lseOf, OUTPUT, outputParams, rowHeads } from "./rows.ts";
import { keySide } from "./sides.ts";

export function rowForward(form: FlashForm, template: RowTemplate, { split }: { readonly split: boolean }): Kernel {
  const { threads, keys } = template;
  const T = range(keys);
  const eachX = (body: (c: string) => string): string => each(template, form.d / 4, "params.depth", body);
  const eachY = (body: (c: string) => string): string => each(template, form.dv / 4, "params.depthV", body);
  const { of, head, index, q } = rowHeads(form);
  const { declare, loop } = walk(form, template, "j", keySide);
  return defineKernel({
    name: `flash-forward B ${threads}×${keys}`,
    bindings: { ...inputBindings(form), o: "write array<vec4f>", lse: "write array<f32>" },
    params: { ...frameParams(form), ...outputParams },
    code: wgsl`
${frame(form)}
${OUTPUT}
${declare}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let b = group.z / params.splits;
  let part = i32(group.z % params.splits);
  let row0 = (params.tiles - 1u - group.x) * ${threads}u;
  ${of("group.y")}
  ${index("", `min(row0 + thread, params.rows - 1u)`)}
  ${keyWalk(form, "row0", `min(row0 + ${threads - 1}u, params.rows - 1u)`, true)}
  let loOwn = keyLo(${q("i")}, b);
  let hiOwn = keyHi(${q("i")}, b);
  let qb = queryBase(b, ${head("")}, i);
  var own: array<vec4f, ${form.d / 4}>;
  ${eachX((c) => `own[${c}] = qRow(qb, ${c}, ${q("i")}, i32(${head("")})) * ${rawScale(form)};`)}
  var m = ${UNSEEN};
  var l = 0.0;
  var sums: array<vec4f, ${form.dv / 4}>;
  ${eachY((c) => `sums[${c}] = vec4f(0.0);`)}
  ${overKeys(form, { first: form.packed ? "0u" : "row0", head: form.packed ? "0u" : "h", parted: true }, loop("j0", (k, v) => wgsl`
    ${T.map((t) => `var s${t} = 0.0;`)}
    ${eachX((c) => `{ let a = own[${c}]; ${T.map((t) => `let k${t} = ${k(t, c)}; s${t} = ${fmaDot("a", `k${t}`, `s${t}`)};`).join(" ")} }`)}
    ${judge(form, T.map((t) => ({ raw: `s${t}`, score: `s${t}`, h: head(""), i: "i", j: `j_${t}` })))}
    if (j0 < loEdge || j0 + ${keys}i > min(hiEdge, hi)) {
      ${T.map((t) => `s${t} = select(${MASKED}, s${t}, (j0 + ${t}i >= loOwn) & (j0 + ${t}i < min(hiOwn, hi)));`)}
    }
    let n = ${T.reduce((most, t) => `max(${most}, s${t})`, "m")};
    let f = exp2(m - n);
    m = n;
    ${T.map((t) => `let p${t} = exp2(s${t} - n);`)}
    l = l * f + ${T.map((t) => `p${t}`).join(" + ")};
    ${eachY((c) => `sums[${c}] = ${T.reduce((sum, t) => `fma(vec4f(p${t}), ${v(t, c)}, ${sum})`, `sums[${c}] * f`)};`)}`))}
  if (row0 + thread < params.rows) {
    let whole = select(0.0, 1.0 / l, l > 0.0);
    let at = outputBase(b, ${head("")}, i, u32(part));
    ${eachY((c) => `o[at + ${c}] = sums[${c}] * whole;`)}
    lse[lseIndex(b, ${head("")}, i, u32(part))] = ${lseOf(split, "m", "l")};
  }
}`,
  });
}
