// AdamW and the global gradient norm.
//   gradient  [n]          in, as vec4f; elements past n are junk and masked
//   squares   [partials]   one sum of squares for every 64 · ROUNDS · 4 elements, of all parameters one after the other
//   norm      [2]          the global norm before clipping, and the factor that clips it
//   value, first, second  [n]  updated in place, an invocation four elements
import { defineKernel, flatGrid, flatIndex, kernelFamily, numberOf, wgsl, type Kernel, type Scalar } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

const ROUNDS = 16;
const PIECE = 64 * ROUNDS * 4;

/** Partial sums that a gradient of `size` elements takes. */
export const partialsOf = (size: number): number => Math.ceil(size / PIECE);

/** The sum of one number a lane, in an order that does not depend on the device. */
const treeSum = wgsl`
var<workgroup> lanes: array<f32, 64>;
fn treeSum(lane: u32, x: f32) -> f32 {
  lanes[lane] = x;
  workgroupBarrier();
  for (var span = 32u; span > 0u; span >>= 1u) {
    if (lane < span) { lanes[lane] += lanes[lane + span]; }
    workgroupBarrier();
  }
  return lanes[0];
}`;

/** Gradients that one dispatch takes: seven and the sums are the eight buffers that WebGPU guarantees. */
const TOGETHER = 7;

const squareSums: (count: number) => Kernel = kernelFamily((count) => {
  const all = Array.from({ length: count }, (_, g) => g);
  return defineKernel({
    name: "adamw/square-sums",
    bindings: { ...Object.fromEntries(all.map((g) => [`g${g}`, "read array<vec4f>" as const])), squares: "write array<f32>" },
    params: Object.fromEntries(["firstPartial", "partials", ...all.flatMap((g) => [`size${g}`, `start${g}`])].map((name) => [name, "u32" as const])),
    code: wgsl`
${treeSum}
fn square(value: vec4f, i: u32, size: u32) -> f32 {
  let g = select(vec4f(), value, vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(size));
  return dot(g, g);
}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let piece = group.x + group.y * groups.x;
  var sum = 0.0;
  ${all.map((g) => `${g === 0 ? "" : "else "}if (piece < params.start${g} + (params.size${g} + ${PIECE - 1}u) / ${PIECE}u) {
    for (var r = 0u; r < ${ROUNDS}u; r++) {
      let i = ((piece - params.start${g}) * ${ROUNDS}u + r) * 64u + lane;
      if (i * 4u < params.size${g}) { sum += square(g${g}[i], i, params.size${g}); }
    }
  }`)}
  let total = treeSum(lane, sum);
  if (lane == 0u && piece < params.partials) { squares[params.firstPartial + piece] = total; }
}`,
  });
});

const globalNorm = defineKernel({
  name: "adamw/norm",
  bindings: { squares: "read array<f32>", norm: "write array<f32>" },
  params: { partials: "u32", clip: "f32" },
  code: wgsl`
${treeSum}
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < params.partials; i += 64u) { sum += squares[i]; }
  let length = sqrt(treeSum(lane, sum));
  if (lane == 0u) {
    norm[0] = length;
    norm[1] = select(1.0, min(1.0, params.clip / (length + 1e-6)), params.clip > 0.0);
  }
}`,
});

const update = defineKernel({
  name: "adamw/update",
  bindings: { gradient: "read array<vec4f>", norm: "read array<f32>", value: "write array<vec4f>", first: "write array<vec4f>", second: "write array<vec4f>" },
  params: { groups4: "u32", keep: "f32", stepSize: "f32", beta1: "f32", beta2: "f32", rest1: "f32", rest2: "f32", rootCorrection: "f32", epsilon: "f32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.groups4) { return; }
  let g = gradient[i] * norm[1];
  let m = first[i] * params.beta1 + g * params.rest1;
  let v = second[i] * params.beta2 + g * g * params.rest2;
  first[i] = m;
  second[i] = v;
  value[i] = value[i] * params.keep - params.stepSize * m / (sqrt(v) / params.rootCorrection + params.epsilon);
}`,
});

/** Global norm of `gradients`, and the factor that brings it down to `clip` (0: no clipping), as f32 [2] on the GPU. */
export function normAndFactor(gradients: readonly Tensor[], clip: number): Tensor {
  const { engine } = gradients[0]!;
  const total = gradients.reduce((sum, g) => sum + partialsOf(g.size), 0);
  const squares = engine.empty([total]);
  let firstPartial = 0;
  for (let first = 0; first < gradients.length; first += TOGETHER) {
    const some = gradients.slice(first, first + TOGETHER);
    const scalars: Record<string, number> = { firstPartial };
    let partials = 0;
    some.forEach(({ size }, g) => {
      scalars[`size${g}`] = size;
      scalars[`start${g}`] = partials;
      partials += partialsOf(size);
    });
    const bindings = { ...Object.fromEntries(some.map((gradient, g) => [`g${g}`, gradient.slice()])), squares: squares.slice() };
    engine.gpu.dispatch(squareSums(some.length), bindings, { ...scalars, partials }, flatGrid(partials * 64, 64));
    firstPartial += partials;
  }
  const norm = engine.empty([2]);
  engine.gpu.dispatch(globalNorm, { squares: squares.slice(), norm: norm.slice() }, { partials: total, clip }, [1]);
  return norm;
}

export interface AdamWSetting {
  readonly rate: Scalar;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Counted from 1. */
  readonly step: Scalar;
}

type UpdateScalars = Readonly<Record<"keep" | "stepSize" | "beta1" | "beta2" | "rest1" | "rest2" | "rootCorrection" | "epsilon", Scalar>>;

/** The scalars of an update, by weight decay: equal ones are one object, so that a replay works them out once. */
export function adamwScalars({ rate, beta1, beta2, epsilon, step }: AdamWSetting): (weightDecay: number) => UpdateScalars {
  const isLive = typeof rate !== "number" || typeof step !== "number";
  const now = (of: (rate: number, step: number) => number): Scalar => {
    const read = (): number => of(numberOf(rate), numberOf(step));
    return isLive ? { get value() { return read(); } } : read();
  };
  const shared = {
    stepSize: now((r, t) => r / (1 - beta1 ** t)),
    beta1,
    beta2,
    rest1: 1 - beta1,
    rest2: 1 - beta2,
    rootCorrection: now((_, t) => Math.sqrt(1 - beta2 ** t)),
    epsilon,
  };
  const byDecay = new Map<number, UpdateScalars>();
  return (weightDecay) => {
    let scalars = byDecay.get(weightDecay);
    if (scalars === undefined) byDecay.set(weightDecay, (scalars = { ...shared, keep: now((r) => 1 - r * weightDecay) }));
    return scalars;
  };
}

/** One parameter's update, in PyTorch's order: decay, moments, step. */
export function updateParameter(value: Tensor, gradient: Tensor, first: Tensor, second: Tensor, norm: Tensor, scalars: UpdateScalars): void {
  const groups4 = Math.ceil(value.size / 4);
  value.engine.gpu.dispatch(update, { gradient: gradient.slice(), norm: norm.slice(), value: value.slice(), first: first.slice(), second: second.slice() }, { groups4, ...scalars }, flatGrid(groups4, 64));
}
