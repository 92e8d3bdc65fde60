// A row for `lanes` neighbouring invocations of a workgroup of 64: WGSL pieces.
import { wgsl } from "@polyhead/gpu";

export const WORKGROUP = 64;

/** Rows that one workgroup takes. */
export const rowsPerWorkgroup = (lanes: number): number => WORKGROUP / lanes;

/** `part` (this invocation's place in its row), `row`, and `live`: past the last row nothing is written, yet barriers are met. */
export function laneRow(lanes: number): string {
  const slot = wgsl`(group.x + group.y * groups.x) * ${rowsPerWorkgroup(lanes)}u + lane / ${lanes}u`;
  return wgsl`
  let slot = ${slot};
  let live = slot < params.rows;
  let part = i32(lane % ${lanes}u);
  let row = min(slot, params.rows - 1u);
  ${lanes === 1 ? "if (!live) { return; }" : ""}`;
}

/** Walks this invocation's share of `from` ≤ j < `to`. */
export const laneLoop = (lanes: number, from: string, to: string): string =>
  lanes === 1 ? `for (var j = ${from}; j < ${to}; j++)` : `for (var j = select(${to}, ${from} + part, live); j < ${to}; j += ${lanes}i)`;

/** `maxOfRow` and `sumOfRow`: a tree over the lanes of a row, the same on every run. */
export function reduceLanes(lanes: number): string {
  if (lanes === 1) return "fn maxOfRow(x: f32, lane: u32) -> f32 { return x; }\nfn sumOfRow(x: f32, lane: u32) -> f32 { return x; }";
  const steps = Array.from({ length: Math.log2(lanes) }, (_, i) => lanes >> (i + 1));
  const reduce = (name: string, join: (a: string, b: string) => string): string => wgsl`
fn ${name}(x: f32, lane: u32) -> f32 {
  let part = lane % ${lanes}u;
  meeting[lane] = x;
  workgroupBarrier();
  ${steps.map((step) => `if (part < ${step}u) { meeting[lane] = ${join("meeting[lane]", `meeting[lane + ${step}u]`)}; }\n  workgroupBarrier();`)}
  let result = meeting[lane - part];
  workgroupBarrier();
  return result;
}`;
  return wgsl`
var<workgroup> meeting: array<f32, ${WORKGROUP}>;
${reduce("maxOfRow", (a, b) => `max(${a}, ${b})`)}
${reduce("sumOfRow", (a, b) => `${a} + ${b}`)}`;
}
