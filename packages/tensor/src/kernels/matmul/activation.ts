import { derivative, emitWgsl, type Program } from "@polyhead/expr";
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl } from "@polyhead/gpu";
import { TensorError } from "../../errors.ts";
import type { Tensor } from "../../tensor.ts";

const functions = new Map<string, { value: string; slope: string }>();

function unary(program: Program, name: string, variable: string): string {
  const { statements, results, helpers } = emitWgsl(program, { vars: { [variable]: "x" } });
  return wgsl`${Object.values(helpers)}
fn ${name}(x: f32) -> f32 {
  ${statements}
  return ${results[0]!};
}`;
}

/**
 * WGSL of a program of one f32 variable, and of its derivative, as `fn activate(x: f32) -> f32`.
 *
 * @throws TensorError `TENSOR_VALUE` when the program is anything else, or reads captures.
 */
export function activationCode(program: Program): { readonly value: string; readonly slope: string } {
  const known = functions.get(program.key);
  if (known !== undefined) return known;
  const [variable, ...others] = Object.keys(program.vars);
  if (variable === undefined || others.length > 0 || program.vars[variable] !== "f32" || program.type !== "f32" || program.outputs.length !== 1 || program.captures.length > 0) {
    const vars = Object.entries(program.vars).map(([name, type]) => `${name}: ${type}`);
    throw new TensorError("TENSOR_VALUE", `an activation of (${vars.join(", ")}) with ${program.outputs.length} outputs of type ${program.type} and ${program.captures.length} captures`, "give a program of one f32 variable and one f32 output without captures");
  }
  const code = { value: unary(program, "activate", variable), slope: unary(derivative(program, variable), "activate", variable) };
  functions.set(program.key, code);
  return code;
}

const slopeKernel = kernelFamily(({ slope }: { readonly slope: string }) =>
  defineKernel({
    name: "activation gradient",
    bindings: { grad: "read array<f32>", before: "read array<f32>", result: "write array<f32>" },
    params: { count: "u32" },
    code: wgsl`
${slope}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < params.count) { result[i] = grad[i] * activate(before[i]); }
}`,
  }),
);

/** grad · activation′(before), element by element; both contiguous. Without the tape. */
export function activationGradient(program: Program, grad: Tensor, before: Tensor): Tensor {
  const { engine } = grad;
  const result = engine.empty(grad.shape);
  engine.gpu.dispatch(slopeKernel({ slope: activationCode(program).slope }), { grad: grad.slice(), before: before.slice(), result: result.slice() }, { count: grad.size }, flatGrid(grad.size, 64));
  return result;
}
