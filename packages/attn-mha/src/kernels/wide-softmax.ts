// Scores to attention weights and back, four keys at a time: where no hook acts, the mask is a range of keys, and the
// number of keys divides by four. The common case in training: about twice as fast on a CPU-backed adapter.
//   scores, probabilities, dp, ds  [B, Hq, Tq, Tk/4] of vec4f     lse, dlse  [B, Hq, Tq]
// `lanes` invocations share a row as in score-softmax.ts; the laws are the same.
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { ScoreProgram } from "../score-program.ts";
import { laneLoop, laneRow, reduceLanes, WORKGROUP } from "./lanes.ts";
import { LOWEST, rowBounds, rowIndices, SCORE_PARAMS, type ScoreShape } from "./score-source.ts";

const HEAD: string = wgsl`
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {`;

/** Groups of four keys: `begin` to `to` hold allowed ones, and `before` and `until` end the ranges that hold none. */
const GROUPS: string = wgsl`
  let base = first / 4u;
  let begin = lo / 4i;
  let to = max(begin, (hi + 3i) / 4i);
  let all = params.keys / 4i;
  let before = min(begin, all);`;

const open: string = wgsl`
    let j4 = vec4i(4i * j) + vec4i(0i, 1i, 2i, 3i);
    let open = (j4 >= vec4i(lo)) & (j4 < vec4i(hi));`;

/** Forward: see score-softmax.ts. */
export function wideSoftmax({ bounds }: ScoreProgram, { lanes, starts, lengths }: Omit<ScoreShape, "bias"> & { readonly lanes: number }): Kernel {
  const read = `select(vec4f(${LOWEST}), max(scores[base + u32(j)], vec4f(${LOWEST})), open)`;
  return defineKernel({
    name: `score-softmax/${lanes} x4`,
    bindings: {
      scores: "read array<vec4f>",
      ...(starts && { starts: "read array<i32>" as const }),
      ...(lengths && { lengths: "read array<i32>" as const }),
      probabilities: "write array<vec4f>",
      lse: "write array<f32>",
    },
    params: SCORE_PARAMS,
    code: wgsl`
${reduceLanes(lanes)}
${HEAD}
  ${laneRow(lanes)}
  ${rowIndices}
  ${rowBounds(bounds, { starts, lengths })}
  ${GROUPS}
  var peak4 = vec4f(${LOWEST});
  ${laneLoop(lanes, "begin", "to")} {
    ${open}
    peak4 = max(peak4, ${read});
  }
  let peak = maxOfRow(max(max(peak4.x, peak4.y), max(peak4.z, peak4.w)), lane);
  var sum4 = vec4f(0.0);
  ${laneLoop(lanes, "begin", "to")} {
    ${open}
    let x = ${read};
    let e = select(exp(x - peak), vec4f(0.0), x <= vec4f(${LOWEST}));
    probabilities[base + u32(j)] = e;
    sum4 += e;
  }
  let sum = sumOfRow((sum4.x + sum4.y) + (sum4.z + sum4.w), lane);
  let empty = peak <= ${LOWEST};
  let factor = select(1.0 / sum, 0.0, empty);
  ${laneLoop(lanes, "begin", "to")} { probabilities[base + u32(j)] *= factor; }
  ${laneLoop(lanes, "0i", "before")} { probabilities[base + u32(j)] = vec4f(0.0); }
  ${laneLoop(lanes, "to", "all")} { probabilities[base + u32(j)] = vec4f(0.0); }
  if (live && part == 0i) { lse[row] = select(peak + log(sum), params.minusInfinity, empty); }
}`,
  });
}

/** Backward: see score-softmax-backward.ts. */
export function wideSoftmaxBackward({ bounds }: ScoreProgram, { lanes, dlse }: { readonly lanes: number; readonly dlse: boolean }): Kernel {
  return defineKernel({
    name: `score-softmax-backward/${lanes} x4`,
    bindings: {
      probabilities: "read array<vec4f>",
      dp: "read array<vec4f>",
      ...(dlse && { dlse: "read array<f32>" as const }),
      ds: "write array<vec4f>",
    },
    params: SCORE_PARAMS,
    code: wgsl`
${reduceLanes(lanes)}
${HEAD}
  ${laneRow(lanes)}
  ${rowIndices}
  ${rowBounds(bounds, { starts: false, lengths: false })}
  ${GROUPS}
  var delta4 = vec4f(0.0);
  ${laneLoop(lanes, "begin", "to")} {
    let p = probabilities[base + u32(j)];
    delta4 += select(vec4f(0.0), p * dp[base + u32(j)], p > vec4f(0.0));
  }
  let delta = sumOfRow((delta4.x + delta4.y) + (delta4.z + delta4.w), lane)${dlse ? " - dlse[row]" : ""};
  ${laneLoop(lanes, "begin", "to")} {
    let p = probabilities[base + u32(j)];
    ds[base + u32(j)] = select(vec4f(0.0), p * (dp[base + u32(j)] - delta), p > vec4f(0.0));
  }
  ${laneLoop(lanes, "0i", "before")} { ds[base + u32(j)] = vec4f(0.0); }
  ${laneLoop(lanes, "to", "all")} { ds[base + u32(j)] = vec4f(0.0); }
}`,
  });
}
