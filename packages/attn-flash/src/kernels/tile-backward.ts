// Template C, backward. A workgroup owns y · rows rows of one side and walks over the other, x · keys rows at a step.
//   dq   own rows are queries: x<r>_<c> sums e · k      dkv   own rows are keys: x<r>_<c> sums e · q and y<r>_<c> p · g,
//   ds   stores e itself                                      over all heads of the group
//   s<r>_<t>, dp<r>_<t>   raw score and g · v of own row r and other row t of a thread;   c, p, e: kernels/cells.ts
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm, TileTemplate } from "../spec.ts";
import { backwardBindings, BACKWARD_PARAMS, giveCells, learnt, outputOf, queryWalk, wantsSlope, type Emit } from "./backward-frame.ts";
import { overKeys, overQueries } from "./blocks.ts";
import { cellOf, differentiate, judge } from "./cells.ts";
import { frame, frameParams, MASKED, range, rawScale } from "./frame.ts";
import { keyWalk } from "./rows.ts";
import { keySide, querySide, readX, readY, type Side } from "./sides.ts";
import { columns, product, storeColumns, storeWeights, sumUp, tileLayout, tileMemory, type TileLayout } from "./tile-parts.ts";

/** Raw scores and g · v of a step that starts at `at`. */
function products(form: FlashForm, template: TileTemplate, layout: TileLayout, own: Side, other: Side, at: string): string {
  const cells = range(template.rows).flatMap((r) => range(template.keys).map((t) => `${r}_${t}`));
  const of = (sum: string, depth: string, read: typeof readX): string => product(form, template, layout, sum, depth, read(own, "i32(row0)"), read(other, at));
  return wgsl`
    ${cells.map((cell) => `var s${cell} = 0.0; var dp${cell} = 0.0;`)}
    ${of("s", "params.depth", readX)}
    ${of("dp", "params.depthV", readY)}
    ${cells.map((cell) => `s${cell} *= ${rawScale(form)};`)}`;
}

const head = ({ x, y }: TileTemplate, layout: TileLayout): string => wgsl`
${tileMemory(layout)}
@compute @workgroup_size(${x * y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let tx = thread % ${x}u;
  let ty = thread / ${x}u;
  let b = group.z;`;

const zeros = (name: string, rows: number, slots: readonly number[]): string[] => range(rows).flatMap((r) => slots.map((c) => `var ${name}${r}_${c} = vec4f(0.0);`));

export function tileDq(form: FlashForm, template: TileTemplate, emit: Emit): Kernel {
  const { x, rows, keys } = template;
  const layout = tileLayout(template, form);
  const { own, other } = layout;
  const quads = form.d / 4;
  const [R, T] = [range(rows), range(keys)];
  const slope = wantsSlope(form, emit);
  const cells = R.flatMap((r) => T.map((t) => cellOf(`${r}_${t}`, `i${r}`, `j_${t}`, `ld${r}`)));
  return defineKernel({
    name: `flash-${emit} C ${own}×${other}`,
    bindings: { ...backwardBindings(form), out: outputOf(emit, "vec4f") },
    params: { ...frameParams(form), ...BACKWARD_PARAMS },
    code: wgsl`
${frame(form, { backward: true, slope, learn: emit === "learn" })}
${head(template, layout)}
  let h = group.y;
  let hk = h / params.group;
  let row0 = (params.tiles - 1u - group.x) * ${own}u;
  let own0 = row0 + ty * ${rows}u;
  ${R.map((r) => `let i${r} = min(own0 + ${r}u, params.queries - 1u); let line${r} = (b * params.heads + h) * params.queries + i${r}; let ld${r} = ld[line${r}];`)}
  ${emit === "dq" ? zeros("x", rows, columns(quads, x)) : ""}
  ${keyWalk(form, "row0", `min(row0 + ${own - 1}u, params.queries - 1u)`, false)}
  ${overKeys(form, { first: "row0", head: "h", parted: false }, wgsl`
  for (var j0 = lo; j0 < hi; j0 += ${other}i) {
    ${T.map((t) => `let at_${t} = j0 + ${t * x}i + i32(tx); let j_${t} = ${keySide.clamp(`at_${t}`)};`)}
    ${products(form, template, layout, querySide, keySide, "j0")}
    ${judge(form, cells)}
    if (j0 < loEdge || j0 + ${other}i > min(hiEdge, hi)) {
      ${R.map((r) => [`let lo${r} = keyLo(i32(i${r}) + params.qOffset, b); let hi${r} = min(keyHi(i32(i${r}) + params.qOffset, b), hi);`, ...T.map((t) => `c${r}_${t} = select(${MASKED}, c${r}_${t}, (at_${t} >= lo${r}) & (at_${t} < hi${r}));`)])}
    }
    ${differentiate(form, cells, slope)}
    ${emit === "dq"
      ? [...storeWeights(template, layout, "e"), sumUp(form, template, layout, "x", quads, `min(${other}i, hi - j0)`, readX(keySide, "j0"))]
      : giveCells(form, emit, cells, (n) => `own0 + ${Math.floor(n / keys)}u < params.queries`, (n) => `line${Math.floor(n / keys)}`)}
  }`)}
  ${emit === "dq" ? R.map((r) => [`if (own0 + ${r}u < params.queries) {`, ...storeColumns(quads, x, "out", `line${r} * ${quads}u`, (c) => `x${r}_${c} * params.scale`), "}"]) : learnt(emit)}
}`,
  });
}

export function tileDkv(form: FlashForm, template: TileTemplate): Kernel {
  const { x, rows, keys } = template;
  const layout = tileLayout(template, form);
  const { own, other } = layout;
  const [quads, quadsV] = [form.d / 4, form.dv / 4];
  const [R, T] = [range(rows), range(keys)];
  const slope = form.program.slope !== undefined;
  const cells = R.flatMap((r) => T.map((t) => cellOf(`${r}_${t}`, `i_${t}`, `j${r}`, `ld_${t}`)));
  const count = `min(${other}i, hi - i0)`;
  return defineKernel({
    name: `flash-dkv C ${own}×${other}`,
    bindings: { ...backwardBindings(form), out: "write array<vec4f>" },
    params: { ...frameParams(form), ...BACKWARD_PARAMS },
    code: wgsl`
${frame(form, { backward: true, slope })}
${head(template, layout)}
  let hk = group.y;
  let row0 = group.x * ${own}u;
  let own0 = row0 + ty * ${rows}u;
  ${queryWalk(own)}
  // A row that is not to be used stands for one that is; its sums are stored as zeros.
  ${R.map((r) => `let at${r} = i32(own0) + ${r}i; let j${r} = ${keySide.clamp(`at${r}`)}; let in${r} = (at${r} >= firstJ) & (at${r} < endKey(b));`)}
  ${zeros("x", rows, columns(quads, x))}
  ${zeros("y", rows, columns(quadsV, x))}
  for (var member = 0u; member < params.group; member++) {
    let h = hk * params.group + member;
    ${overQueries(form, wgsl`
    for (var i0 = lo; i0 < hi; i0 += ${other}i) {
    ${T.map((t) => `let at_${t} = i0 + ${t * x}i + i32(tx); let i_${t} = ${querySide.clamp(`at_${t}`)}; let ld_${t} = ld[(b * params.heads + h) * params.queries + i_${t}];`)}
    ${products(form, template, layout, keySide, querySide, "i0")}
    ${judge(form, cells)}
    if (i0 < edgeLo || i0 + ${other}i > min(edgeHi, hi) || edgeRows) {
      ${T.map((t) => [`let lo_${t} = keyLo(i32(i_${t}) + params.qOffset, b); let hi_${t} = select(0i, keyHi(i32(i_${t}) + params.qOffset, b), at_${t} < hi);`, ...R.map((r) => `c${r}_${t} = select(${MASKED}, c${r}_${t}, in${r} & (at${r} >= lo_${t}) & (at${r} < hi_${t}));`)])}
    }
    ${differentiate(form, cells, slope)}
    ${storeWeights(template, layout, "p")}
    ${sumUp(form, template, layout, "y", quadsV, count, readY(querySide, "i0"))}
    workgroupBarrier();
    ${storeWeights(template, layout, "e")}
    ${sumUp(form, template, layout, "x", quads, count, readX(querySide, "i0"))}
    }`)}
  }
  ${R.map((r) => [
    `if (own0 + ${r}u < params.keyRows) {`,
    `let row = (b * params.kvHeads + hk) * params.keyRows + own0 + ${r}u;`,
    ...storeColumns(quads, x, "out", `row * ${quads}u`, (c) => `select(vec4f(0.0), x${r}_${c} * params.scale, in${r})`),
    ...storeColumns(quadsV, x, "out", `params.dvAt + row * ${quadsV}u`, (c) => `select(vec4f(0.0), y${r}_${c}, in${r})`),
    "}",
  ])}
}`,
  });
}
