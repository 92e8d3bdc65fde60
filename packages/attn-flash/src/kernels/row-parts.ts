// What the kernels of template B share. A thread owns a row in registers; all threads read the same rows of the other side,
// from memory, or from a stage in workgroup memory: rows of (x, y) one after the other, x in groups of four and then y.
import { wgsl } from "@polyhead/gpu";
import type { FlashForm, RowTemplate } from "../spec.ts";
import { range } from "./frame.ts";
import { fill, WORKGROUP_BYTES } from "./share.ts";
import type { Side } from "./sides.ts";

/** Values of a row of x and one of y that a thread may hold: in registers where rows are staged, else on a stack that stays in cache. */
export const rowValues = ({ staged }: RowTemplate): number => (staged ? 256 : 1024);

/** Rows of the other side in workgroup memory at once: 0 where they are read from memory. */
export function stagedRows({ keys, staged }: RowTemplate, { d, dv }: Pick<FlashForm, "d" | "dv">): number {
  return staged ? keys * Math.max(1, Math.floor(Math.min(64, WORKGROUP_BYTES / (4 * (d + dv))) / keys)) : 0;
}

export interface Walk {
  /** Module scope. */
  readonly declare: string;
  /** The loop over rows `lo` … `hi`, `keys` a step from `at`; `step` is given readers of x and y. */
  readonly loop: (at: string, step: (x: (t: number, c: string) => string, y: (t: number, c: string) => string) => string) => string;
}

/** Walks the other side `keys` rows a step. Declares their numbers as `<name>_<t>`. */
export function walk(form: FlashForm, template: RowTemplate, name: string, { open, x, y, clamp }: Side): Walk {
  const { threads, keys } = template;
  const [quads, all] = [form.d / 4, (form.d + form.dv) / 4];
  const T = range(keys);
  const rows = stagedRows(template, form);
  const numbers = (at: string): string[] => T.map((t) => `let ${name}_${t} = ${clamp(`${at} + ${t}i`)};`);
  if (rows === 0) {
    return {
      declare: "",
      loop: (at, step) => wgsl`
  for (var ${at} = lo; ${at} < hi; ${at} += ${keys}i) {
    ${numbers(at)}
    ${T.map((t) => open(String(t), `${name}_${t}`))}
    ${step((t, c) => x(String(t), c), (t, c) => y(String(t), c))}
  }`,
    };
  }
  return {
    declare: `var<workgroup> stage: array<vec4f, ${rows * all}>;`,
    loop: (at, step) => wgsl`
  for (var from0 = lo; from0 < hi; from0 += ${rows}i) {
    workgroupBarrier();
    ${fill(form, rows * all, threads, (e) => wgsl`
      let c = ${e} % ${all}u;
      let n = ${clamp(`from0 + i32(${e} / ${all}u)`)};
      ${open("n", "n")}
      if (c < ${quads}u) { stage[${e}] = ${x("n", "c")}; } else { stage[${e}] = ${y("n", `(c - ${quads}u)`)}; }`)}
    workgroupBarrier();
    for (var ${at} = from0; ${at} < min(from0 + ${rows}i, hi); ${at} += ${keys}i) {
      ${numbers(at)}
      let here = u32(${at} - from0) * ${all}u;
      ${step((t, c) => `stage[here + ${t * all}u + ${c}]`, (t, c) => `stage[here + ${t * all + quads}u + ${c}]`)}
    }
  }`,
  };
}

/**
 * `body` for each group of four of a row. Written out where rows are staged, which is for GPUs: they keep an array in registers
 * only if they know its indices. Else a loop: CPU drivers compile slowly what is written out, and keep arrays in cache.
 */
export function each({ staged }: RowTemplate, quads: number, count: string, body: (c: string) => string): string {
  return staged ? range(quads).map((c) => body(`${c}u`)).join("\n") : wgsl`for (var c = 0u; c < ${count}; c++) { ${body("c")} }`;
}
