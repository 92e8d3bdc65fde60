// Copies elements between two strided layouts of 32-bit words.
//   source, dest     whole storages, any strides (0 = broadcast on the source side)
//   one invocation a word, in row-major order of the shape (at most 6 axes, missing ones have length 1)
import { defineKernel, flatGrid, flatIndex, wgsl } from "@polyhead/gpu";
import { shapeError, showShape } from "../errors.ts";
import type { Tensor } from "../tensor.ts";

const AXES = [0, 1, 2, 3, 4, 5] as const;

const stridedCopy = defineKernel({
  name: "strided-copy",
  bindings: { source: "read array<u32>", dest: "write array<u32>" },
  params: Object.fromEntries(["count", "sourceStart", "destStart", ...AXES.flatMap((a) => [`n${a}`, `s${a}`, `t${a}`])].map((name) => [name, "u32" as const])),
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  var rest = ${flatIndex(64)};
  if (rest >= params.count) { return; }
  var sourceAt = params.sourceStart;
  var destAt = params.destStart;
  ${[...AXES].reverse().map((a) => `{ let at = rest % params.n${a}; rest /= params.n${a}; sourceAt += at * params.s${a}; destAt += at * params.t${a}; }`)}
  dest[destAt] = source[sourceAt];
}`,
});

/** Writes `source` into the elements that `target` views. Shapes are equal; memory must not be shared. */
export function copyStrided(source: Tensor, target: Tensor): void {
  const { shape } = source;
  if (shape.length > AXES.length) shapeError(`a tensor of shape ${showShape(shape)} has more than ${AXES.length} axes`, "merge axes by reshape first");
  const pad = AXES.length - shape.length;
  const params: Record<string, number> = { count: source.size, sourceStart: source.offset, destStart: target.offset };
  for (const a of AXES) {
    params[`n${a}`] = a < pad ? 1 : shape[a - pad]!;
    params[`s${a}`] = a < pad ? 0 : source.strides[a - pad]!;
    params[`t${a}`] = a < pad ? 0 : target.strides[a - pad]!;
  }
  source.engine.gpu.dispatch(stridedCopy, { source: source.all(), dest: target.all() }, params, flatGrid(source.size, 64));
}
