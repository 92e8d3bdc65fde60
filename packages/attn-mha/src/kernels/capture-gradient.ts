// Gradient of the tables that score hooks learn.
//   weights  [B, Hq, Tq, Tk]     gradient of the scores after the hooks
//   partial  [chunks, elements]  zero at the start; chunk c sums its own rows, one cell after the other
// An invocation owns a chunk, so that no two write one element and the order of additions is fixed. The caller sums over
// the chunks. Slow, and right for any index that a hook can compute.
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import { linearIndex, type Capture } from "@polyhead/core";
import type { ScoreProgram } from "../score-program.ts";
import { offsetsOf } from "../table-layout.ts";
import { mergeHelpers, rawScore, rowIndices, SCORE_PARAMS, weave } from "./score-source.ts";

export interface CaptureGradientOptions {
  readonly bias: boolean;
}

const kernels = new Map<string, Kernel>();

/** The tables that a program learns, in the order in which they lie in a chunk. */
export const learnedTables = ({ tables }: ScoreProgram): readonly Capture[] => tables.floats.filter(({ learned }) => learned);

/** The kernel of a score program; equal structure gives the same kernel. */
export function captureGradient(program: ScoreProgram, options: CaptureGradientOptions): Kernel {
  const key = `${program.key}#${JSON.stringify(options)}`;
  let kernel = kernels.get(key);
  if (kernel === undefined) kernels.set(key, (kernel = build(program, options)));
  return kernel;
}

function build(program: ScoreProgram, { bias }: CaptureGradientOptions): Kernel {
  const { tables } = program;
  const scores = program.keepsScores;
  const offsets = offsetsOf(learnedTables(program));
  const sites = program.sites.map((site, n) => {
    const [index, slope] = [weave(site.index, tables), weave(site.derivative, tables)];
    const [at, by] = [index.at(`i${n}_`, "raw"), slope.at(`d${n}_`, "raw")];
    // A branch that is not taken may index outside of its table.
    const inside = at.results.map((index, axis) => `${index} >= 0i && ${index} < ${site.capture.shape[axis]!}i`).join(" && ");
    const code = wgsl`
      {
        ${at.statements}
        ${by.statements}
        ${inside === "" ? "" : `if (${inside}) `}{ partial[base + ${offsets.get(site.capture) ?? 0}u + ${linearIndex(site.capture.shape, at.results)}] += w * ${by.results[0] ?? "0.0"}; }
      }`;
    return { code, woven: [index, slope] };
  });
  return defineKernel({
    name: "capture-gradient",
    bindings: {
      weights: "read array<f32>",
      ...(scores && { scores: "read array<f32>" as const }),
      ...(scores && bias && { bias: "read array<f32>" as const }),
      ...tables.bindings,
      partial: "write array<f32>",
    },
    params: { ...SCORE_PARAMS, ...tables.params, chunks: "u32", rowsPerChunk: "u32", elements: "u32" },
    code: wgsl`
${tables.functions}
${mergeHelpers(...sites.flatMap(({ woven }) => woven))}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let chunk = ${flatIndex(64)};
  if (chunk >= params.chunks) { return; }
  let base = chunk * params.elements;
  let last = min((chunk + 1u) * params.rowsPerChunk, params.rows);
  for (var row = chunk * params.rowsPerChunk; row < last; row++) {
    ${rowIndices}
    for (var j = 0i; j < params.keys; j++) {
      let w = weights[first + u32(j)];
      if (w == 0.0) { continue; }
      let kv = j + params.kvOffset;
      let raw = ${scores ? rawScore({ bias }) : "0.0"};
      ${sites.map(({ code }) => code)}
    }
  }
}`,
  });
}
