// Maps pairs of a head vector: (s0, s1) → program(s0, s1, position, pair, head), for every pair of every row.
//   s0, s1, …   [B, H, T, D] sources, f32, whole storages with any strides: x forward; the gradient, and x where the
//               derivative needs it, backward
//   positions   [B, T] i32 (or u32), the global position of every row; without it, row t stands at offset + t
//   y           [B, H, T, D], row-major
//   one invocation a pair, and one an element beyond `rotaryDim`, which passes unchanged from the first source
import { emitWgsl, type Program } from "@polyhead/expr";
import { defineKernel, flatIndex, wgsl, type BindingSpec, type Kernel, type ParamType } from "@polyhead/gpu";
import { captureCode } from "../captures.ts";

export interface PairwiseSpec {
  readonly program: Program;
  /** For every source the two variables that its pair fills. */
  readonly sources: readonly (readonly [string, string])[];
  readonly layout: "half" | "interleaved";
  readonly hasPositions: boolean;
}

const built = new Map<string, Kernel>();

/** The kernel of a program and a pair layout. Programs of equal structure share it. */
export function pairwiseKernel(spec: PairwiseSpec): Kernel {
  const key = `${spec.sources.join(";")};${spec.layout};${spec.hasPositions};${spec.program.key}`;
  let kernel = built.get(key);
  if (kernel === undefined) built.set(key, (kernel = build(spec)));
  return kernel;
}

function build({ program, sources, layout, hasPositions }: PairwiseSpec): Kernel {
  const captures = captureCode(program.captures);
  const vars = Object.fromEntries([...sources.flat(), "position", "pair", "head"].map((name) => [name, `v_${name}`]));
  const { statements, results, helpers } = emitWgsl(program, { read: captures.read, vars });
  const bindings: [string, BindingSpec][] = sources.map((_, k) => [`s${k}`, "read array<f32>"]);
  if (hasPositions) bindings.push(["positions", "read array<i32>"]);
  const strides = sources.flatMap((_, k) => ["start", "b", "h", "t", "d"].map((axis) => [`s${k}_${axis}`, "u32"] as [string, ParamType]));
  return defineKernel({
    name: `pairwise/${layout}`,
    bindings: { ...Object.fromEntries(bindings), ...captures.bindings, y: "write array<f32>" },
    params: { count: "u32", items: "u32", pairs: "u32", heads: "u32", length: "u32", width: "u32", offset: "i32", ...Object.fromEntries(strides), ...captures.params },
    code: wgsl`
${Object.values(helpers)}
${captures.functions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let item = i % params.items;
  let row = i / params.items;
  let t = row % params.length;
  let h = (row / params.length) % params.heads;
  let b = row / (params.length * params.heads);
  ${sources.map((_, k) => `let base${k} = params.s${k}_start + b * params.s${k}_b + h * params.s${k}_h + t * params.s${k}_t;`)}
  let target_row = row * params.width;
  if (item >= params.pairs) {
    let d = item + params.pairs;
    y[target_row + d] = s0[base0 + d * params.s0_d];
    return;
  }
  let d0 = ${layout === "half" ? "item" : "2u * item"};
  let d1 = ${layout === "half" ? "item + params.pairs" : "d0 + 1u"};
  let v_position = ${hasPositions ? "positions[b * params.length + t]" : "params.offset + i32(t)"};
  let v_pair = i32(item);
  let v_head = i32(h);
  ${sources.map(([first, second], k) => `let v_${first} = s${k}[base${k} + d0 * params.s${k}_d];\n  let v_${second} = s${k}[base${k} + d1 * params.s${k}_d];`)}
  ${statements}
  y[target_row + d0] = ${results[0]!};
  y[target_row + d1] = ${results[1]!};
}`,
  });
}
