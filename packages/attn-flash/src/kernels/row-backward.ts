// Template B, backward. A thread owns a row of one side, in registers, and walks over the other side, `keys` rows a step.
//   dq   its row is a query: sums of e · k        dkv   its row is a key: sums of e · q and p · g, over all heads of the group
//   ds   stores e itself
//   s<t>, dp<t>   raw score and g · v of row t of the step;   c, p, e: kernels/cells.ts
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm, RowTemplate } from "../spec.ts";
import { backwardBindings, BACKWARD_PARAMS, giveCells, learnt, outputOf, queryWalk, wantsSlope, type Emit } from "./backward-frame.ts";
import { overKeys, overQueries } from "./blocks.ts";
import { cellOf, differentiate, fmaDot, judge } from "./cells.ts";
import { frame, frameParams, MASKED, range, rawScale } from "./frame.ts";
import { each, walk } from "./row-parts.ts";
import { keyWalk } from "./rows.ts";
import { keySide, querySide, type Side } from "./sides.ts";

type Read = (t: number, c: string) => string;
type Each = (body: (c: string) => string) => string;

/** Loops over the groups of rows of k and q, and of v and g. */
const loopsOf = (form: FlashForm, template: RowTemplate): readonly [Each, Each] => [(body) => each(template, form.d / 4, "params.depth", body), (body) => each(template, form.dv / 4, "params.depthV", body)];

/** A thread's own row, as `ownX` and `ownY`. */
const ownRows = ({ d, dv }: FlashForm, [eachX, eachY]: readonly [Each, Each], { x, y }: Side): string => wgsl`
  var ownX: array<vec4f, ${d / 4}>;
  var ownY: array<vec4f, ${dv / 4}>;
  ${eachX((c) => `ownX[${c}] = ${x("", c)};`)}
  ${eachY((c) => `ownY[${c}] = ${y("", c)};`)}`;

/** Raw scores and g · v of a step. */
function products(form: FlashForm, keys: number, [eachX, eachY]: readonly [Each, Each], x: Read, y: Read): string[] {
  const T = range(keys);
  const dots = (sum: string, own: string, read: Read) => (c: string): string => `{ let a = ${own}[${c}]; ${T.map((t) => `let b${t} = ${read(t, c)}; ${sum}${t} = ${fmaDot("a", `b${t}`, `${sum}${t}`)};`).join(" ")} }`;
  return [...T.map((t) => `var s${t} = 0.0; var dp${t} = 0.0;`), eachX(dots("s", "ownX", x)), eachY(dots("dp", "ownY", y)), ...T.map((t) => `s${t} *= ${rawScale(form)};`)];
}

const sumInto = (into: string, keys: number, weight: string, read: Read) => (c: string): string =>
  `${into}[${c}] = ${range(keys).reduce((sum, t) => `fma(vec4f(${weight}${t}), ${read(t, c)}, ${sum})`, `${into}[${c}]`)};`;

const zeroed = (name: string, quads: number, every: Each): string => `var ${name}: array<vec4f, ${quads}>;\n${every((c) => `${name}[${c}] = vec4f(0.0);`)}`;

export function rowDq(form: FlashForm, template: RowTemplate, emit: Emit): Kernel {
  const { threads, keys } = template;
  const T = range(keys);
  const loops = loopsOf(form, template);
  const [eachX] = loops;
  const slope = wantsSlope(form, emit);
  const cells = T.map((t) => cellOf(String(t), "i", `j_${t}`, "mine"));
  const { declare, loop } = walk(form, template, "j", keySide);
  return defineKernel({
    name: `flash-${emit} B ${threads}×${keys}`,
    bindings: { ...backwardBindings(form), out: outputOf(emit, "vec4f") },
    params: { ...frameParams(form), ...BACKWARD_PARAMS },
    code: wgsl`
${frame(form, { backward: true, slope, learn: emit === "learn" })}
${declare}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let b = group.z;
  let h = group.y;
  let hk = h / params.group;
  let row0 = (params.tiles - 1u - group.x) * ${threads}u;
  let i = min(row0 + thread, params.queries - 1u);
  let row = (b * params.heads + h) * params.queries + i;
  let mine = ld[row];
  ${keyWalk(form, "row0", `min(row0 + ${threads - 1}u, params.queries - 1u)`, false)}
  let loOwn = keyLo(i32(i) + params.qOffset, b);
  let hiOwn = keyHi(i32(i) + params.qOffset, b);
  ${querySide.open("", "i")}
  ${ownRows(form, loops, querySide)}
  ${emit === "dq" ? zeroed("sums", form.d / 4, eachX) : ""}
  ${overKeys(form, { first: "row0", head: "h", parted: false }, loop("j0", (k, v) => wgsl`
    ${products(form, keys, loops, k, v)}
    ${judge(form, cells)}
    if (j0 < loEdge || j0 + ${keys}i > min(hiEdge, hi)) {
      ${T.map((t) => `c${t} = select(${MASKED}, c${t}, (j0 + ${t}i >= loOwn) & (j0 + ${t}i < min(hiOwn, hi)));`)}
    }
    ${differentiate(form, cells, slope)}
    ${emit === "dq" ? eachX(sumInto("sums", keys, "e", k)) : giveCells(form, emit, cells, () => "row0 + thread < params.queries", () => "row")}`))}
  ${emit === "dq" ? wgsl`if (row0 + thread < params.queries) {
    ${eachX((c) => `out[row * params.depth + ${c}] = sums[${c}] * params.scale;`)}
  }` : learnt(emit)}
}`,
  });
}

export function rowDkv(form: FlashForm, template: RowTemplate): Kernel {
  const { threads, keys } = template;
  const T = range(keys);
  const loops = loopsOf(form, template);
  const [eachX, eachY] = loops;
  const slope = form.program.slope !== undefined;
  const cells = T.map((t) => cellOf(String(t), `i_${t}`, "j", `ld${t}`));
  const { declare, loop } = walk(form, template, "i", querySide);
  return defineKernel({
    name: `flash-dkv B ${threads}×${keys}`,
    bindings: { ...backwardBindings(form), out: "write array<vec4f>" },
    params: { ...frameParams(form), ...BACKWARD_PARAMS },
    code: wgsl`
${frame(form, { backward: true, slope })}
${declare}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let b = group.z;
  let hk = group.y;
  let row0 = group.x * ${threads}u;
  ${queryWalk(threads)}
  let own = row0 + thread;
  let inside = (i32(own) >= firstJ) & (i32(own) < endKey(b));
  // A row that is not to be used reads one that is; its sums are stored as zeros.
  let j = ${keySide.clamp("i32(own)")};
  ${keySide.open("", "j")}
  ${ownRows(form, loops, keySide)}
  ${zeroed("sumsX", form.d / 4, eachX)}
  ${zeroed("sumsY", form.dv / 4, eachY)}
  for (var member = 0u; member < params.group; member++) {
    let h = hk * params.group + member;
    ${overQueries(form, loop("i0", (q, g) => wgsl`
    ${T.map((t) => `let ld${t} = ld[(b * params.heads + h) * params.queries + i_${t}];`)}
    ${products(form, keys, loops, q, g)}
    ${judge(form, cells)}
    if (i0 < edgeLo || i0 + ${keys}i > min(edgeHi, hi) || edgeRows) {
      ${T.map((t) => `c${t} = select(${MASKED}, c${t}, inside & (i0 + ${t}i < hi) & (i32(j) >= keyLo(i32(i_${t}) + params.qOffset, b)) & (i32(j) < keyHi(i32(i_${t}) + params.qOffset, b)));`)}
    }
    ${differentiate(form, cells, slope)}
    ${eachX(sumInto("sumsX", keys, "e", q))}
    ${eachY(sumInto("sumsY", keys, "p", g))}`))}
  }
  if (own < params.keyRows) {
    let row = (b * params.kvHeads + hk) * params.keyRows + own;
    ${eachX((c) => `out[row * params.depth + ${c}] = select(vec4f(0.0), sumsX[${c}] * params.scale, inside);`)}
    ${eachY((c) => `out[params.dvAt + row * params.depthV + ${c}] = select(vec4f(0.0), sumsY[${c}], inside);`)}
  }
}`,
  });
}
