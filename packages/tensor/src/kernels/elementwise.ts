// Applies a program to every element of a broadcast shape.
//   x0, x1, …   inputs, one buffer each: f32 or i32, by the type of the program's variable (u32 shares i32's buffers)
//   y0, y1, …   outputs, row-major: f32 or i32, by the type of the program's output
//   groups      one invocation four neighbouring outputs; an input's four lie at the same place (same), in a vector that
//               repeats (row), or are one number (splat). The last group may compute up to three numbers nobody reads
//   strided     one invocation an output; its coordinates are taken apart and weighed with every input's strides
import { emitWgsl, type Program } from "@polyhead/expr";
import { defineKernel, flatIndex, wgsl, type BindingSpec, type Kernel, type ParamType } from "@polyhead/gpu";
import { captureCode } from "../captures.ts";
import type { ElementwiseLayout, GroupRead } from "../elementwise-layout.ts";

export interface ElementwiseSpec {
  readonly name: string;
  readonly program: Program;
  /** The variables that come from tensors, in the order of their bindings; the others are scalars of the dispatch. */
  readonly inputs: readonly string[];
  readonly layout: Pick<ElementwiseLayout & { kind: "groups" }, "kind" | "reads"> | Pick<ElementwiseLayout & { kind: "strided" }, "kind" | "rank">;
}

const IN = ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"] as const;
const OUT = ["y0", "y1", "y2", "y3", "y4", "y5", "y6", "y7"] as const;
/** The name under which input `i` is bound. */
export const inputBinding = (i: number): string => IN[i] ?? `x${i}`;
/** The name under which output `i` is bound. */
export const outputBinding = (i: number): string => OUT[i] ?? `y${i}`;

const built = new Map<string, Kernel>();
/** The same kernels by program object: a structure's key is long, and this is asked for at every call. */
const byProgram = new WeakMap<Program, Map<string, Kernel>>();

/** The kernel of a program and a layout. Programs of equal structure share it. */
export function elementwiseKernel(spec: ElementwiseSpec): Kernel {
  const { program, inputs, layout } = spec;
  let own = byProgram.get(program);
  if (own === undefined) byProgram.set(program, (own = new Map<string, Kernel>()));
  const shape = `${inputs.join(",")};${layout.kind === "groups" ? layout.reads.join(",") : layout.rank}`;
  let kernel = own.get(shape);
  if (kernel === undefined) {
    const key = `${shape};${program.key}`;
    kernel = built.get(key);
    if (kernel === undefined) built.set(key, (kernel = build(spec)));
    own.set(shape, kernel);
  }
  return kernel;
}

const ENTRY = "@compute @workgroup_size(64)\nfn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32)";
const LANES = ["x", "y", "z", "w"] as const;

function build({ name, program, inputs, layout }: ElementwiseSpec): Kernel {
  const types = inputs.map((input) => program.vars[input] as ParamType);
  const results = program.outputs.map(({ type }) => type as ParamType);
  const scalars = Object.entries(program.vars).filter(([variable]) => !inputs.includes(variable));
  const captures = captureCode(program.captures);
  const element = (type: ParamType): string => (layout.kind === "groups" ? `vec4<${type}>` : type);
  const body = layout.kind === "groups" ? groups(layout.reads, types, results) : strided(layout.rank, inputs.length, results.length);
  return defineKernel({
    name: `${name}/${layout.kind === "groups" ? "vec4" : `strided ${layout.rank}`}`,
    bindings: {
      ...Object.fromEntries(types.map((type, i) => [`x${i}`, `read array<${element(type)}>`] as [string, BindingSpec])),
      ...captures.bindings,
      ...Object.fromEntries(results.map((type, i) => [`y${i}`, `write array<${element(type)}>`] as [string, BindingSpec])),
    },
    params: { count: "u32", ...body.params, ...Object.fromEntries(scalars.map(([variable, type]) => [`v_${variable}`, type as ParamType])), ...captures.params },
    code: wgsl`
${applyFunction(program, inputs, types, results)}
${captures.functions}
${ENTRY} {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
${body.code}
}`,
  });
}

/** The program as a function of its tensor variables. */
function applyFunction(program: Program, inputs: readonly string[], types: readonly ParamType[], results: readonly ParamType[]): string {
  const vars = Object.fromEntries(Object.keys(program.vars).map((variable) => [variable, `${inputs.includes(variable) ? "" : "params."}v_${variable}`]));
  const { statements, results: values, helpers } = emitWgsl(program, { read: captureCode(program.captures).read, vars });
  return wgsl`${Object.values(helpers)}
struct Result { ${results.map((type, i) => `r${i}: ${type}`).join(", ")} }
fn apply(${inputs.map((input, i) => `v_${input}: ${types[i]!}`).join(", ")}) -> Result {
${statements}
return Result(${values.join(", ")});
}`;
}

interface Body {
  readonly params: Readonly<Record<string, ParamType>>;
  readonly code: string;
}

function groups(reads: readonly GroupRead[], types: readonly ParamType[], results: readonly ParamType[]): Body {
  const params: Record<string, ParamType> = {};
  const loads = reads.map((read, k) => {
    if (read === "same") return `  let a${k} = x${k}[i];`;
    params[`divide${k}`] = params[`period${k}`] = "u32";
    if (read === "row") return `  let a${k} = x${k}[i % params.period${k}];`;
    // A splat is one number of a vec4 binding.
    return `  let at${k} = (i / params.divide${k}) % params.period${k};\n  let a${k} = vec4<${types[k]!}>(x${k}[at${k} / 4u][at${k} % 4u]);`;
  });
  const applied = LANES.map((lane) => `  let r_${lane} = apply(${reads.map((_, k) => `a${k}.${lane}`).join(", ")});`);
  const stores = results.map((type, k) => `  y${k}[i] = vec4<${type}>(${LANES.map((lane) => `r_${lane}.r${k}`).join(", ")});`);
  return { params, code: [...loads, ...applied, ...stores].join("\n") };
}

function strided(rank: number, inputs: number, results: number): Body {
  const params: Record<string, ParamType> = {};
  const each = Array.from({ length: inputs }, (_, k) => k);
  const lines = ["  var rest = i;"];
  for (const k of each) {
    params[`start${k}`] = "u32";
    lines.push(`  var at${k} = params.start${k};`);
  }
  for (let axis = rank - 1; axis >= 0; axis--) {
    params[`n${axis}`] = "u32";
    for (const k of each) params[`step${k}_${axis}`] = "u32";
    lines.push(`  { let at = rest % params.n${axis}; rest /= params.n${axis}; ${each.map((k) => `at${k} += at * params.step${k}_${axis};`).join(" ")} }`);
  }
  lines.push(`  let result = apply(${each.map((k) => `x${k}[at${k}]`).join(", ")});`);
  for (let k = 0; k < results; k++) lines.push(`  y${k}[i] = result.r${k};`);
  return { params, code: lines.join("\n") };
}
