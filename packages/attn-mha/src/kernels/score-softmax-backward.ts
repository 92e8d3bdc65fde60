// From the gradient of the attention weights back to that of the raw scores, row by row:
//   ds = p (dp − Δ + dlse) · ∂hooks/∂s,   Δ = Σⱼ p dp
//   probabilities, dp, ds  [B, Hq, Tq, Tk]     dlse  [B, Hq, Tq]
// A key with p = 0 (not allowed, or underflowed) gets 0, whatever its value: dp may be NaN there. Where the caller wants
// the gradient after the hooks (for the tables they learn), `slope` is left out.
import { defineKernel, wgsl, type Kernel } from "@polyhead/gpu";
import type { ScoreProgram } from "../score-program.ts";
import { laneLoop, laneRow, reduceLanes, WORKGROUP } from "./lanes.ts";
import { mergeHelpers, rawScore, rowBounds, rowIndices, SCORE_PARAMS, weave } from "./score-source.ts";
import { wideSoftmaxBackward } from "./wide-softmax.ts";

export interface SoftmaxBackwardOptions {
  readonly lanes: number;
  /** Keys divide by four. */
  readonly wide: boolean;
  /** The weights have a gradient. */
  readonly dp: boolean;
  readonly dlse: boolean;
  readonly bias: boolean;
  /** Multiply by the hooks' derivative. */
  readonly slope: boolean;
}

const kernels = new Map<string, Kernel>();

/** The backward kernel of a score program; equal structure gives the same kernel. */
export function scoreSoftmaxBackward(program: ScoreProgram, options: SoftmaxBackwardOptions): Kernel {
  const key = `${program.key}#${JSON.stringify(options)}`;
  let kernel = kernels.get(key);
  if (kernel === undefined) kernels.set(key, (kernel = options.wide && program.plain && options.dp ? wideSoftmaxBackward(program, options) : build(program, options)));
  return kernel;
}

function build(program: ScoreProgram, { lanes, dp, dlse, bias, slope: wanted }: SoftmaxBackwardOptions): Kernel {
  const slope = wanted ? program.slope : undefined;
  const woven = slope && weave(slope, program.tables);
  const factor = woven?.at("t", "raw");
  const scores = slope !== undefined && program.keepsScores;
  const terms = [...(dp ? ["dp[first + u32(j)] - delta"] : []), ...(dlse ? ["dlse[row]"] : [])].join(" + ");
  return defineKernel({
    name: `score-softmax-backward/${lanes}`,
    bindings: {
      probabilities: "read array<f32>",
      ...(dp && { dp: "read array<f32>" as const }),
      ...(dlse && { dlse: "read array<f32>" as const }),
      ...(scores && { scores: "read array<f32>" as const }),
      ...(scores && bias && { bias: "read array<f32>" as const }),
      ...(slope && program.tables.bindings),
      ds: "write array<f32>",
    },
    params: { ...SCORE_PARAMS, ...program.tables.params },
    code: wgsl`
${slope === undefined ? "" : program.tables.functions}
${mergeHelpers(woven)}
${reduceLanes(lanes)}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${laneRow(lanes)}
  ${rowIndices}
  ${rowBounds(program.bounds, { starts: false, lengths: false })}
  var delta = 0.0;
  ${dp ? wgsl`
  ${laneLoop(lanes, "lo", "hi")} {
    let p = probabilities[first + u32(j)];
    delta += select(0.0, p * dp[first + u32(j)], p > 0.0);
  }
  delta = sumOfRow(delta, lane);` : ""}
  ${laneLoop(lanes, "lo", "hi")} {
    let p = probabilities[first + u32(j)];
    ${factor === undefined ? "" : wgsl`
    let kv = j + params.kvOffset;
    let raw = ${scores ? rawScore({ bias }) : "0.0"};
    ${factor.statements}`}
    ds[first + u32(j)] = select(0.0, p * (${terms})${factor === undefined ? "" : ` * ${factor.results[0] ?? "1.0"}`}, p > 0.0);
  }
  ${laneLoop(lanes, "0i", "min(lo, params.keys)")} { ds[first + u32(j)] = 0.0; }
  ${laneLoop(lanes, "max(lo, hi)", "params.keys")} { ds[first + u32(j)] = 0.0; }
}`,
  });
}
