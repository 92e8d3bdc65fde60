import type { Program } from "@polyhead/core";
import { Bounded, defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import { maskCode } from "./mask-code.ts";

/**
 * Legend
 *   states   u32 [batch, heads, query blocks, key blocks]: 0 no cell is allowed, 1 some are, 2 all are
 *   a workgroup owns a block; a thread owns some of its columns and walks down all rows; one atomic sum joins them
 *
 * Cells past the last query or key do not count: a block whose cells are all allowed, as far as they exist, is full.
 */
export type ClassifyKernel = Kernel;

const kept = new Bounded<string, ClassifyKernel>(64);

/** The kernel that tells blocks apart, by the structure of the mask; other numbers in its captures compile nothing. */
export function classifyKernel(program: Program, keyBlock: number): ClassifyKernel {
  const lanes = Math.min(64, keyBlock);
  return kept.get(`${lanes} ${program.key}`, () => build(program, lanes));
}

function build(program: Program, lanes: number): ClassifyKernel {
  const { bindings, params, functions } = maskCode(program);
  return defineKernel<string, string>({
    name: "block mask: classify",
    bindings: { ...bindings, states: "write array<u32>" },
    params: {
      ...params,
      blocks: "u32", queryBlocks: "u32", keyBlocks: "u32", heads: "u32",
      queries: "u32", keys: "u32", queryBlock: "u32", keyBlock: "u32", qOffset: "i32", kvOffset: "i32",
    },
    code: wgsl`
${functions}
var<workgroup> allowed: atomic<u32>;

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group.x + group.y * groups.x;
  if (block >= params.blocks) { return; }
  let column = block % params.keyBlocks;
  let row = block / params.keyBlocks % params.queryBlocks;
  let plane = block / params.keyBlocks / params.queryBlocks;
  let h = i32(plane % params.heads);
  let b = i32(plane / params.heads);
  let rows = min(params.queryBlock, params.queries - row * params.queryBlock);
  let columns = min(params.keyBlock, params.keys - column * params.keyBlock);
  let q0 = params.qOffset + i32(row * params.queryBlock);
  let kv0 = params.kvOffset + i32(column * params.keyBlock);
  var count = 0u;
  for (var j = lane; j < columns; j += ${lanes}u) {
    for (var i = 0u; i < rows; i++) {
      count += select(0u, 1u, allows(b, h, q0 + i32(i), kv0 + i32(j)));
    }
  }
  atomicAdd(&allowed, count);
  workgroupBarrier();
  if (lane == 0u) {
    let all = atomicLoad(&allowed);
    states[block] = select(select(1u, 2u, all == rows * columns), 0u, all == 0u);
  }
}`,
  });
}
