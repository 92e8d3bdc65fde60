// Scores to attention weights, row by row.
//   probabilities  [B, Hq, Tq, Tk]  out: exp(s − lse) of the hooked and masked scores; 0 where a key is not allowed
//   lse            [B, Hq, Tq]      out: natural log-sum-exp of a row, −∞ where no key is allowed
// `lanes` invocations share a row, each takes every lanes-th key; their maxima and sums meet in workgroup memory in a
// fixed order. One lane a row needs no barrier, which suits devices that run an invocation after the other.
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { ScoreProgram } from "../score-program.ts";
import { laneLoop, laneRow, reduceLanes, WORKGROUP } from "./lanes.ts";
import { LOWEST, mergeHelpers, rawScore, rowBounds, rowIndices, SCORE_PARAMS, weave, type ScoreShape } from "./score-source.ts";
import { wideSoftmax } from "./wide-softmax.ts";

/** The score of key row `j` after hooks and mask, as statements that leave it in `x`. */
function maskedScore({ score, mask, tables }: ScoreProgram, shape: ScoreShape): { readonly helpers: string; readonly code: string } {
  const hooks = weave(score, tables);
  const test = mask && weave(mask, tables);
  const value = hooks.at("t", "raw");
  const allowed = test?.at("u");
  return {
    helpers: mergeHelpers(hooks, test),
    code: wgsl`
    let kv = j + params.kvOffset;
    let raw = ${rawScore(shape)};
    ${value.statements}
    var x = max(${value.results[0] ?? "raw"}, ${LOWEST});
    ${allowed === undefined ? "" : `${allowed.statements}\n    if (!(${allowed.results[0] ?? "true"})) { x = ${LOWEST}; }`}`,
  };
}

export interface SoftmaxOptions extends ScoreShape {
  readonly lanes: number;
  /** Keys divide by four. */
  readonly wide: boolean;
}

const kernels = new Map<string, Kernel>();

/** The kernel of a score program; equal structure gives the same kernel. */
export function scoreSoftmax(program: ScoreProgram, options: SoftmaxOptions): Kernel {
  const key = `${program.key}#${JSON.stringify(options)}`;
  let kernel = kernels.get(key);
  if (kernel === undefined) kernels.set(key, (kernel = options.wide && program.plain && !options.bias ? wideSoftmax(program, options) : build(program, options)));
  return kernel;
}

function build(program: ScoreProgram, options: SoftmaxOptions): Kernel {
  const { lanes, bias, starts, lengths } = options;
  const { helpers, code } = maskedScore(program, options);
  return defineKernel({
    name: `score-softmax/${lanes}`,
    bindings: {
      scores: "read array<f32>",
      ...(bias && { bias: "read array<f32>" as const }),
      ...(starts && { starts: "read array<i32>" as const }),
      ...(lengths && { lengths: "read array<i32>" as const }),
      ...program.tables.bindings,
      probabilities: "write array<f32>",
      lse: "write array<f32>",
    },
    params: { ...SCORE_PARAMS, ...program.tables.params },
    code: wgsl`
${program.tables.functions}
${helpers}
${reduceLanes(lanes)}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${laneRow(lanes)}
  ${rowIndices}
  ${rowBounds(program.bounds, options)}
  var peak = ${LOWEST};
  ${laneLoop(lanes, "lo", "hi")} {
    ${code}
    probabilities[first + u32(j)] = x;
    peak = max(peak, x);
  }
  peak = maxOfRow(peak, lane);
  var sum = 0.0;
  // Summed by the handful first: terms that are alike are all rounded the same way once the sum is large.
  var some = 0.0;
  ${laneLoop(lanes, "lo", "hi")} {
    let x = probabilities[first + u32(j)];
    let e = select(exp(x - peak), 0.0, x <= ${LOWEST});
    probabilities[first + u32(j)] = e;
    some += e;
    if ((j & 31i) == 31i) {
      sum += some;
      some = 0.0;
    }
  }
  sum = sumOfRow(sum + some, lane);
  let empty = peak <= ${LOWEST};
  let factor = select(1.0 / sum, 0.0, empty);
  ${laneLoop(lanes, "lo", "hi")} { probabilities[first + u32(j)] *= factor; }
  ${laneLoop(lanes, "0i", "min(lo, params.keys)")} { probabilities[first + u32(j)] = 0.0; }
  ${laneLoop(lanes, "max(lo, hi)", "params.keys")} { probabilities[first + u32(j)] = 0.0; }
  if (live && part == 0i) { lse[row] = select(peak + log(sum), params.minusInfinity, empty); }
}`,
  });
}
