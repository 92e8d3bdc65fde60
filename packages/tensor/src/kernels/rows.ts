// How kernels walk the rows of a row-major matrix [rows, length].
//   lanes   invocations that share a row; 1 needs no barrier, more read neighbouring words together
//   width   elements read at a time: 4 when it divides the length
//   a workgroup holds WG / lanes rows; per-row results come from a tree of fixed shape, so two runs agree to the last bit
import { flatGrid, wgsl } from "@polyhead/gpu";
import type { Engine } from "../engine.ts";

export interface RowPlan {
  readonly lanes: number;
  readonly width: 1 | 4;
}

/** From this many rows on, software GPUs have work enough for a row a lane. */
const SOFTWARE_ROWS = 64;

const groupSize = ({ lanes }: RowPlan): number => Math.max(64, lanes);

/**
 * On hardware, as many lanes as read a row together in a few steps. On software GPUs a row a lane where there are rows enough:
 * there, 64 lanes took ten times as long as one at 1024 × 512, and as long at 4 × 50,257.
 */
export function rowPlan({ gpu }: Pick<Engine, "gpu">, rows: number, length: number): RowPlan {
  const width = length % 4 === 0 ? 4 : 1;
  if (length <= 16 || (rows >= SOFTWARE_ROWS && gpu.info.software)) return { lanes: 1, width };
  return { lanes: length <= 256 ? 16 : length <= 4096 ? 64 : 256, width };
}

export const rowGrid = (rows: number, plan: RowPlan): [number, number, number] => flatGrid(rows, groupSize(plan) / plan.lanes);

/** Elements of one read: `T` in the kernels. */
export const rowType = ({ width }: RowPlan): string => (width === 4 ? "vec4f" : "f32");

/** A tree over the lanes of a row. Every invocation of the workgroup must call it. */
function tree(plan: RowPlan, name: string, combine: (a: string, b: string) => string): string {
  const { lanes } = plan;
  if (lanes === 1) return wgsl`fn ${name}(value: f32, local: u32) -> f32 { return value; }`;
  const steps = Array.from({ length: Math.log2(lanes) }, (_, i) => lanes >> (i + 1));
  return wgsl`
fn ${name}(value: f32, local: u32) -> f32 {
  let lane = local % ${lanes}u;
  scratch[local] = value;
  workgroupBarrier();
  ${steps.map((step) => `if (lane < ${step}u) { scratch[local] = ${combine("scratch[local]", `scratch[local + ${step}u]`)}; }\n  workgroupBarrier();`)}
  let result = scratch[local - lane];
  workgroupBarrier(); // the next tree writes the same memory
  return result;
}`;
}

/** Declarations that `rowMain` bodies use: `T`, `across`, `acrossMax`, `rowSum`, `rowMax`. */
export function rowHelpers(plan: RowPlan): string {
  return wgsl`
alias T = ${rowType(plan)};
const LOWEST = -3.4028234663852886e38f;
${plan.lanes === 1 ? "" : `var<workgroup> scratch: array<f32, ${groupSize(plan)}>;`}
${
  plan.width === 4
    ? "fn across(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }\nfn acrossMax(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }"
    : "fn across(v: f32) -> f32 { return v; }\nfn acrossMax(v: f32) -> f32 { return v; }"
}
${tree(plan, "rowSum", (a, b) => `${a} + ${b}`)}
${tree(plan, "rowMax", (a, b) => `max(${a}, ${b})`)}
`;
}

/**
 * The entry point around `body`, which sees `row`, `lane`, `local`, `live` (false past the last row) and walks its part of the row by
 * `for (var i = first; i < end; i += LANES)`; `first` and `end` count in `T`s from the start of the matrix, and `base` is the row's first.
 * The kernel's params must hold `rows` and `steps` (`T`s a row).
 */
export function rowMain(plan: RowPlan, body: string): string {
  const size = groupSize(plan);
  return wgsl`
const LANES = ${plan.lanes}u;
@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (group.x + group.y * groups.x) * ${size / plan.lanes}u + local / LANES;
  let lane = local % LANES;
  let live = row < params.rows;
  let base = row * params.steps;
  let first = base + lane;
  let end = select(first, base + params.steps, live);
  ${body}
}`;
}
