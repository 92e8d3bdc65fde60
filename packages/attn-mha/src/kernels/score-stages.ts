// Scores after the hooks and after the mask, for inspection.
//   modified, masked  [B, Hq, Tq, Tk]  out; masked is −∞ where a key is not allowed
//   one invocation a row
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import type { ScoreProgram } from "../score-program.ts";
import { mergeHelpers, rawScore, rowBounds, rowIndices, SCORE_PARAMS, weave, type ScoreShape } from "./score-source.ts";

const kernels = new Map<string, Kernel>();

/** The kernel of a score program; equal structure gives the same kernel. */
export function scoreStages(program: ScoreProgram, shape: ScoreShape): Kernel {
  const key = `${program.key}#${JSON.stringify(shape)}`;
  let kernel = kernels.get(key);
  if (kernel === undefined) kernels.set(key, (kernel = build(program, shape)));
  return kernel;
}

function build(program: ScoreProgram, shape: ScoreShape): Kernel {
  const hooks = weave(program.score, program.tables);
  const test = program.mask && weave(program.mask, program.tables);
  const value = hooks.at("t", "raw");
  const allowed = test?.at("u");
  return defineKernel({
    name: "score-stages",
    bindings: {
      scores: "read array<f32>",
      ...(shape.bias && { bias: "read array<f32>" as const }),
      ...(shape.starts && { starts: "read array<i32>" as const }),
      ...(shape.lengths && { lengths: "read array<i32>" as const }),
      ...program.tables.bindings,
      modified: "write array<f32>",
      masked: "write array<f32>",
    },
    params: { ...SCORE_PARAMS, ...program.tables.params },
    code: wgsl`
${program.tables.functions}
${mergeHelpers(hooks, test)}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = ${flatIndex(64)};
  if (row >= params.rows) { return; }
  ${rowIndices}
  ${rowBounds(program.bounds, shape)}
  for (var j = 0i; j < params.keys; j++) {
    let kv = j + params.kvOffset;
    let raw = ${rawScore(shape)};
    ${value.statements}
    let x = ${value.results[0] ?? "raw"};
    ${allowed?.statements ?? ""}
    modified[first + u32(j)] = x;
    masked[first + u32(j)] = select(params.minusInfinity, x, j >= lo && j < hi && (${allowed?.results[0] ?? "true"}));
  }
}`,
  });
}
