// Copies elements between two strided layouts of 32-bit words.
//   source, dest   whole storages, any strides (0 = broadcast on the source side)
//   one invocation a word, or a group of four where both sides are contiguous along the last axis; in row-major order of the
//   shape, whose axes have been merged as far as both layouts allow
import { defineKernel, derived, flatGrid, flatIndex, kernelFamily, wgsl, type Kernel, type Scalar } from "@polyhead/gpu";
import { shapeError, showShape } from "../errors.ts";
import type { Tensor } from "../tensor.ts";

const MOST_AXES = 6;

interface Axis {
  readonly length: number;
  readonly source: number;
  readonly dest: number;
}

const stridedCopy: (options: { readonly axes: number; readonly wide: boolean }) => Kernel = kernelFamily(({ axes, wide }) => {
  const type = wide ? "array<vec4u>" : "array<u32>";
  const inner = Array.from({ length: axes }, (_, a) => axes - 1 - a);
  const params = ["count", "sourceStart", "destStart", ...inner.flatMap((a) => [`n${a}`, `s${a}`, `d${a}`])];
  return defineKernel({
    name: `strided-copy/${axes}${wide ? " x4" : ""}`,
    bindings: { source: `read ${type}`, dest: `write ${type}` },
    params: Object.fromEntries(params.map((name) => [name, "u32" as const])),
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  var rest = ${flatIndex(64)};
  if (rest >= params.count) { return; }
  var sourceAt = params.sourceStart;
  var destAt = params.destStart;
  ${inner.map((a) =>
    a === 0
      ? "sourceAt += rest * params.s0; destAt += rest * params.d0;"
      : `{ let next = rest / params.n${a}; let at = rest - next * params.n${a}; rest = next; sourceAt += at * params.s${a}; destAt += at * params.d${a}; }`,
  )}
  dest[destAt] = source[sourceAt];
}`,
  });
});

/** The axes of both layouts, with those of length 1 left out and neighbours merged where both sides walk them as one. */
function mergedAxes(source: Tensor, target: Tensor): Axis[] {
  const axes: Axis[] = [];
  source.shape.forEach((length, i) => {
    if (length === 1) return;
    const next = { length, source: source.strides[i]!, dest: target.strides[i]! };
    const last = axes.at(-1);
    if (last?.source === next.source * length && last.dest === next.dest * length) axes[axes.length - 1] = { ...next, length: last.length * length };
    else axes.push(next);
  });
  return axes.length > 0 ? axes : [{ length: 1, source: 1, dest: 1 }];
}

const isMultiple = (n: number): boolean => n % 4 === 0;

/**
 * Writes `source` into the elements that `target` views. Shapes are equal; memory must not be shared.
 *
 * @param shift  moves the target: `count` times `stride` elements further on
 */
export function copyStrided(source: Tensor, target: Tensor, shift: { readonly count: Scalar; readonly stride: number } = { count: 0, stride: 0 }): void {
  const axes = mergedAxes(source, target);
  if (axes.length > MOST_AXES) shapeError(`a tensor of shape ${showShape(source.shape)} has more than ${MOST_AXES} axes`, "merge axes by reshape first");
  const last = axes.at(-1)!;
  const outer = axes.slice(0, -1);
  const wide = last.source === 1 && last.dest === 1 && isMultiple(last.length) && isMultiple(source.offset) && isMultiple(target.offset) && isMultiple(shift.stride) && outer.every((a) => isMultiple(a.source) && isMultiple(a.dest));
  const step = wide ? 4 : 1;
  const count = source.size / step;
  const destStart = derived(shift.count, (n) => (target.offset + n * shift.stride) / step);
  const params: Record<string, Scalar> = { count, sourceStart: source.offset / step, destStart };
  [...outer.map((a) => ({ ...a, source: a.source / step, dest: a.dest / step })), { ...last, length: last.length / step }].forEach((a, i) => {
    params[`n${i}`] = a.length;
    params[`s${i}`] = a.source;
    params[`d${i}`] = a.dest;
  });
  source.engine.gpu.dispatch(stridedCopy({ axes: axes.length, wide }), { source: source.all(), dest: target.all() }, params, flatGrid(count, 64));
}
