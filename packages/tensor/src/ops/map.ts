import { derivative, formula, printProgram, program as seal, variablesOf, type Capture, type Expr, type NumberExpr, type Program, type ScalarType } from "@polyhead/expr";
import { flatGrid, numberOf, type BufferSlice, type Scalar } from "@polyhead/gpu";
import { captureArguments, scalarValues } from "../captures.ts";
import { layOut } from "../elementwise-layout.ts";
import type { Engine } from "../engine.ts";
import { TensorError } from "../errors.ts";
import { elementwiseKernel, inputBinding, outputBinding } from "../kernels/elementwise.ts";
import { isScalar } from "../operands.ts";
import { broadcastShapes, type DType } from "../shape.ts";
import { attach } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { sumTo } from "./sum.ts";

/** Values of a program's variables. A number, live or not, is a scalar of the dispatch: another one does not recompile. */
export type MapInputs = Readonly<Record<string, Tensor | Scalar>>;

/**
 * Applies `program` to every element, in one kernel: `map(formula({ x: "f32", c: "f32" })`x * tanh(c)`, { x, c: 0.5 })`.
 * Shapes broadcast by NumPy's rule; views are read in place. A variable of type f32 takes f32 tensors, one of type i32
 * takes i32 and u32 tensors. The result has the type of the program's output; a condition gives i32, 1 or 0.
 * Its gradient is the program's symbolic derivative, again in one kernel.
 *
 * @throws TensorError `TENSOR_VALUE` for a variable without an input or an input without a variable, `TENSOR_DTYPE`, `TENSOR_SHAPE`.
 */
export function map(program: Program, inputs: MapInputs): Tensor {
  if (program.outputs.length !== 1) throw new TensorError("TENSOR_VALUE", `map() of a program with ${program.outputs.length} outputs`, "use mapAll(), which gives a tensor for each");
  return mapAll(program, inputs)[0]!;
}

/** `map` of a program with any number of outputs: a tensor for each, from one kernel. */
export function mapAll(program: Program, inputs: MapInputs): Tensor[] {
  const { numeric, gradients } = planOf(program);
  const { engine, tensors, names } = check(numeric, inputs);
  const scalars = numeric.captures.length > 0 ? scalarValues(engine, numeric.captures) : undefined;
  const outputs = run(engine, numeric, names, tensors, inputs, scalars);
  const name = (): string => printProgram(program);
  engine.anomalies?.observe(name, outputs, tensors);
  if (!engine.gradEnabled || !tensors.some((x) => x.requiresGrad)) return outputs;
  refuseLearned(numeric);
  outputs.forEach((output, k) => {
    if (numeric.outputs[k]!.type !== "f32") return;
    const wanted = names.filter((name, i) => tensors[i]!.requiresGrad && numeric.vars[name] === "f32");
    if (wanted.length === 0) return;
    const gradient = gradientOf(gradients, numeric, { output: k, wanted, tensors: names, buffers: engine.gpu.caps.storageBuffers });
    const shapes = wanted.map((name) => (inputs[name] as Tensor).shape);
    const numbers = Object.fromEntries(Object.entries(inputs).filter(([, value]) => isScalar(value)));
    attach(output, {
      name,
      inputs: wanted.map((name) => inputs[name] as Tensor),
      saves: gradient.saves.map((name) => inputs[name] as Tensor),
      backward: (g, saved) => {
        const values: Record<string, Tensor | Scalar> = { ...numbers, [gradient.seed]: g };
        gradient.saves.forEach((name, i) => (values[name] = saved[i]!));
        const found = new Map<string, Tensor>(gradient.passed.map((name) => [name, g]));
        for (const { program: part, gives, reads } of gradient.parts) {
          const results = run(engine, part, reads, reads.map((name) => values[name] as Tensor), values, scalars, g.shape);
          results.forEach((result, i) => found.set(gives[i]!, result));
        }
        return wanted.map((name, i) => {
          const full = found.get(name);
          return full && sumTo(full, shapes[i]!);
        });
      },
    });
  });
  return outputs;
}

function run(engine: Engine, program: Program, names: readonly string[], tensors: readonly Tensor[], values: MapInputs, scalars: ReadonlyMap<Capture, Scalar> | undefined, given?: readonly number[]): Tensor[] {
  const shape = given ?? broadcast(tensors);
  const outputs = program.outputs.map(({ type }) => engine.empty(shape, type as DType));
  const { size } = outputs[0]!;
  if (size === 0) return outputs;
  const layout = layOut(tensors, shape);
  const kernel = elementwiseKernel({ name: "map", program, inputs: names, layout });
  const count = layout.kind === "groups" ? Math.ceil(size / 4) : size;
  // This runs for every operator of every step: plain loops, no arrays in between.
  const bindings: Record<string, BufferSlice> = {};
  for (let i = 0; i < layout.slices.length; i++) bindings[inputBinding(i)] = layout.slices[i]!;
  for (let i = 0; i < outputs.length; i++) bindings[outputBinding(i)] = outputs[i]!.slice();
  const params: Record<string, Scalar> = { count };
  Object.assign(params, layout.params);
  if (names.length < Object.keys(program.vars).length) {
    for (const name of Object.keys(program.vars)) {
      const value = values[name];
      if (value !== undefined && isScalar(value)) params[`v_${name}`] = value;
    }
  }
  if (program.captures.length > 0) {
    const captures = captureArguments(engine, program.captures, scalars && { scalars });
    Object.assign(bindings, captures.bindings);
    Object.assign(params, captures.params);
  }
  engine.gpu.dispatch(kernel, bindings, params, flatGrid(count, 64));
  return outputs;
}

function broadcast(tensors: readonly Tensor[]): readonly number[] {
  const first = tensors[0]!.shape;
  return tensors.length === 1 ? first : broadcastShapes(...tensors.map((x) => x.shape));
}

interface Plan {
  /** The program with its conditions as numbers, since buffers hold no booleans. */
  readonly numeric: Program;
  readonly gradients: Map<string, Gradient>;
}

const plans = new WeakMap<Program, Plan>();

function planOf(program: Program): Plan {
  let plan = plans.get(program);
  if (plan === undefined) {
    const conditional = program.outputs.some(({ type }) => type === "bool");
    const numeric = conditional ? seal(program.vars, program.outputs.map((output) => (output.type === "bool" ? output.i32() : output))) : program;
    plans.set(program, (plan = { numeric, gradients: new Map() }));
  }
  return plan;
}

interface Checked {
  readonly engine: Engine;
  /** The variables that are tensors. */
  readonly names: readonly string[];
  readonly tensors: readonly Tensor[];
}

function check({ vars }: Program, inputs: MapInputs): Checked {
  const names: string[] = [];
  const tensors: Tensor[] = [];
  for (const name of Object.keys(inputs)) {
    if (!Object.hasOwn(vars, name)) throw new TensorError("TENSOR_VALUE", `map() was given '${name}', which is not a variable of its program; variables: ${Object.keys(vars).join(", ")}`, "drop it, or declare it in the program");
  }
  for (const [name, type] of Object.entries(vars)) {
    const value = inputs[name];
    if (value === undefined) throw new TensorError("TENSOR_VALUE", `map() was given no value for the variable '${name}'`, "pass a tensor or a number for every variable");
    if (type === "bool") throw new TensorError("TENSOR_DTYPE", `variable '${name}' is bool, and tensors hold no booleans`, `declare it i32 and write ${name} != 0`);
    if (isScalar(value)) {
      if (type === "i32" && !Number.isInteger(numberOf(value))) throw new TensorError("TENSOR_VALUE", `variable '${name}' is i32 and was given ${numberOf(value)}`, "pass a whole number");
      continue;
    }
    checkDType(name, type, value.dtype);
    names.push(name);
    tensors.push(value);
  }
  const [first] = tensors;
  if (first === undefined) throw new TensorError("TENSOR_VALUE", "map() was given numbers alone", "pass at least one tensor");
  const stranger = tensors.find((x) => x.engine !== first.engine);
  if (stranger !== undefined) throw new TensorError("TENSOR_ENGINE", "map() was given tensors of two engines", "make all operands with one engine");
  return { engine: first.engine, names, tensors };
}

function checkDType(name: string, type: ScalarType, dtype: DType): void {
  if (dtype === type || (type === "i32" && dtype === "u32")) return;
  const fix = dtype === "f16" ? "cast it to f32 first: f16 is a storage type" : `cast it to ${type} first`;
  throw new TensorError("TENSOR_DTYPE", `variable '${name}' is ${type} and was given a tensor of ${dtype}`, fix);
}

function refuseLearned({ captures }: Program): void {
  const learned = captures.find((capture) => capture.learned);
  if (learned !== undefined) throw new TensorError("TENSOR_GRAPH", `map() does not carry a gradient to the learned capture '${learned.name}'`, "pass it as a tensor variable, or run under noGrad");
}

/** How the gradient of one output reaches the wanted inputs. */
interface Gradient {
  /** The variable that stands for the output's gradient. */
  readonly seed: string;
  readonly saves: readonly string[];
  /** Inputs whose gradient is the output's own (sums). */
  readonly passed: readonly string[];
  readonly parts: readonly Part[];
}

interface Part {
  readonly program: Program;
  readonly gives: readonly string[];
  /** Its variables that are tensors. */
  readonly reads: readonly string[];
}

interface GradientQuery {
  readonly output: number;
  readonly wanted: readonly string[];
  readonly tensors: readonly string[];
  readonly buffers: number;
}

function gradientOf(known: Map<string, Gradient>, program: Program, query: GradientQuery): Gradient {
  const key = `${query.output};${query.wanted.join(",")};${query.tensors.join(",")};${query.buffers}`;
  let gradient = known.get(key);
  if (gradient === undefined) known.set(key, (gradient = differentiate(program, query)));
  return gradient;
}

function differentiate(program: Program, { output, wanted, tensors, buffers }: GradientQuery): Gradient {
  const single = seal(program.vars, [program.outputs[output]!]);
  let seed = "grad";
  while (Object.hasOwn(program.vars, seed)) seed += "_";
  const slopes = wanted.map((name) => ({ name, slope: derivative(single, name).outputs[0]! }));
  const constant = (slope: Expr, value: number): boolean => slope.op === "const" && slope.leaf.value === value;
  const passed = slopes.filter(({ slope }) => constant(slope, 1)).map(({ name }) => name);
  const computed = slopes.filter(({ slope }) => !constant(slope, 1) && !constant(slope, 0));
  const part = (members: typeof computed): Part => {
    const whole = formula({ ...program.vars, [seed]: "f32" })((scope) => members.map(({ slope }) => (scope[seed] as NumberExpr).mul(slope as NumberExpr)));
    const reads = [...tensors, seed].filter((name) => variablesOf(...whole.outputs).includes(name));
    // Only what is read stays a variable, so that the kernel has no parameter without a value.
    const used = Object.fromEntries(Object.entries(whole.vars).filter(([name]) => variablesOf(...whole.outputs).includes(name)));
    return { program: seal(used, whole.outputs), gives: members.map(({ name }) => name), reads };
  };
  const fits = ({ program: { captures }, reads, gives }: Part): boolean => reads.length + gives.length + captures.filter(({ shape }) => shape.length > 0).length <= buffers;
  const fused = computed.length > 0 ? [part(computed)] : [];
  const parts = fused.every(fits) ? fused : computed.map((member) => part([member]));
  const saves = tensors.filter((name) => parts.some(({ reads }) => reads.includes(name)));
  return { seed, saves, passed, parts };
}
