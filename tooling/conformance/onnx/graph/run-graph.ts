import { UnsupportedCase } from "../../unsupported.ts";
import { kindOf, rounded, type ElementType } from "./element.ts";
import { cast, castTo, isPointwise, pointwise, where } from "./pointwise.ts";
import { broadcast, gathered, gatheredElements, joined, onto, reshaped, sliced, tiled, transposed, triangle, type Cut } from "./shaping.ts";
import { storedTensor, type GraphNode, type Subgraph } from "./subgraph.ts";
import { constant, show, sizeOf, type Value } from "./value.ts";

/** What a node was given: its inputs by slot, undefined where one is left out. */
interface Call {
  readonly node: GraphNode;
  readonly inputs: readonly (Value | undefined)[];
}

type Operator = (call: Call) => Value;

const integers = (numbers: readonly number[], shape: readonly number[] = [numbers.length]): Value => constant({ type: "I64", shape, numbers: Float64Array.from(numbers) });

function input({ node, inputs }: Call, slot: number): Value {
  const value = inputs[slot];
  if (value === undefined) throw new UnsupportedCase(`${node.op} without input ${slot}`);
  return value;
}

/** Numbers of an input that says how, and may therefore not depend on the scores. */
function known(call: Call, slot: number): readonly number[] {
  const { data } = input(call, slot);
  if (data === undefined) throw new UnsupportedCase(`${call.node.op} whose input ${slot} depends on the scores`);
  return [...data()];
}

const optional = (call: Call, slot: number): readonly number[] | undefined => (call.inputs[slot] === undefined ? undefined : known(call, slot));

function whole({ node }: Call, name: string, fallback: number): number {
  const value = node.attributes[name] ?? fallback;
  if (typeof value !== "number" || !Number.isInteger(value)) throw new UnsupportedCase(`attribute ${name} of ${node.op} is ${JSON.stringify(value)}`);
  return value;
}

function axisOf({ node }: Call, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) throw new UnsupportedCase(`axis ${axis} of ${node.op}, which has ${rank} axes`);
  return axis < 0 ? axis + rank : axis;
}

const clamped = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** `Shape`, and parts of it. */
const shapeOf: Operator = (call) => {
  const { shape } = input(call, 0);
  const bound = (given: number): number => clamped(given < 0 ? given + shape.length : given, 0, shape.length);
  return integers(shape.slice(bound(whole(call, "start", 0)), bound(whole(call, "end", shape.length))));
};

const range: Operator = (call) => {
  const [start = NaN, limit = NaN, delta = NaN] = [0, 1, 2].map((slot) => known(call, slot)[0] ?? NaN);
  const { type } = input(call, 0);
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isSafeInteger(count)) throw new UnsupportedCase(`Range from ${start} to ${limit} by ${delta}`);
  return constant({ type, shape: [count], numbers: Float64Array.from({ length: count }, (_, i) => rounded(type, start + i * delta)) });
};

const reshape: Operator = (call) => {
  const value = input(call, 0);
  const copies = whole(call, "allowzero", 0) === 0;
  const asked = known(call, 1).map((n, axis) => (n === 0 && copies ? (value.shape[axis] ?? NaN) : n));
  const rest = asked.filter((n) => n !== -1).reduce((size, n) => size * n, 1);
  const shape = asked.map((n) => (n === -1 ? sizeOf(value.shape) / rest : n));
  if (asked.filter((n) => n === -1).length > 1 || shape.some((n) => !(Number.isInteger(n) && n >= 0))) throw new UnsupportedCase(`Reshape of ${show(value.shape)} to ${show(known(call, 1))}`);
  return reshaped("Reshape", value, shape);
};

const unsqueeze: Operator = (call) => {
  const value = input(call, 0);
  const axes = known(call, 1);
  const rank = value.shape.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(call, axis, rank)));
  if (added.size !== axes.length) throw new UnsupportedCase(`Unsqueeze at axes ${show(axes)}`);
  const rest = [...value.shape];
  return reshaped("Unsqueeze", value, Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!)));
};

const squeeze: Operator = (call) => {
  const value = input(call, 0);
  const axes = optional(call, 1)?.map((axis) => axisOf(call, axis, value.shape.length));
  if (axes?.some((axis) => value.shape[axis] !== 1) === true) throw new UnsupportedCase(`Squeeze of ${show(value.shape)} at axes ${show(axes)}`);
  return reshaped("Squeeze", value, value.shape.filter((n, axis) => !(axes === undefined ? n === 1 : axes.includes(axis))));
};

const slice: Operator = (call) => {
  const value = input(call, 0);
  const [starts, ends] = [known(call, 1), known(call, 2)];
  const axes = optional(call, 3) ?? starts.map((_, i) => i);
  const steps = optional(call, 4) ?? starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length || steps.includes(0)) throw new UnsupportedCase(`Slice from ${show(starts)} to ${show(ends)} by ${show(steps)}`);
  const cuts = starts.map((from, i): Cut => {
    const axis = axisOf(call, axes[i]!, value.shape.length);
    const [n, step] = [value.shape[axis]!, steps[i]!];
    const counted = (x: number): number => (x < 0 ? x + n : x);
    const start = step > 0 ? clamped(counted(from), 0, n) : clamped(counted(from), 0, n - 1);
    const end = step > 0 ? clamped(counted(ends[i]!), 0, n) : clamped(counted(ends[i]!), -1, n - 1);
    return { axis, start, step, length: Math.max(0, Math.ceil((end - start) / step)) };
  });
  return sliced(value, cuts);
};

const expand: Operator = (call) => {
  const value = input(call, 0);
  return onto(value, broadcast("Expand", [value.shape, known(call, 1)]));
};

const tile: Operator = (call) => {
  const value = input(call, 0);
  const repeats = known(call, 1);
  if (repeats.length !== value.shape.length) throw new UnsupportedCase(`Tile of ${show(value.shape)} by ${show(repeats)}`);
  return tiled(value, repeats);
};

const trilu: Operator = (call) => {
  const value = input(call, 0);
  if (kindOf(value.type) === "bool") return pointwise("And", [value, trianglePart(call, value)]);
  return where([trianglePart(call, value), value, constant({ type: value.type, shape: [], numbers: Float64Array.of(0) })]);
};

const trianglePart = (call: Call, { shape }: Value): Value => triangle(shape, optional(call, 1)?.[0] ?? 0, whole(call, "upper", 1) !== 0);

/** `Mod` of integers: the sign of the divisor, or with fmod that of the dividend. */
const mod: Operator = (call) => {
  const [x, y] = [input(call, 0), input(call, 1)];
  if (kindOf(x.type) !== "int") throw new UnsupportedCase("Mod of floats");
  const cut = pointwise("Sub", [x, pointwise("Mul", [pointwise("Div", [x, y]), y])]);
  if (whole(call, "fmod", 0) !== 0) return cut;
  const zero = constant({ type: x.type, shape: [], numbers: Float64Array.of(0) });
  const negative = (value: Value): Value => pointwise("Less", [value, zero]);
  const off = pointwise("And", [pointwise("Not", [pointwise("Equal", [cut, zero])]), pointwise("Xor", [negative(cut), negative(y)])]);
  return where([off, pointwise("Add", [cut, y]), cut]);
};

const clip: Operator = (call) => {
  const [value, low, high] = [input(call, 0), call.inputs[1], call.inputs[2]];
  const bound = (op: string, so: Value, by: Value | undefined, none: number): Value => {
    if (by === undefined || by.data?.()[0] === none) return so;
    if (sizeOf(by.shape) !== 1) throw new UnsupportedCase(`Clip by a tensor of shape ${show(by.shape)}`);
    return pointwise(op, [so, by]);
  };
  return bound("Min", bound("Max", value, low, -Infinity), high, Infinity);
};

const constantNode: Operator = ({ node }) => {
  const { value, value_float: float, value_floats: floats, value_int: int, value_ints: ints } = node.attributes;
  if (value !== undefined) return constant(storedTensor(value, "the value of Constant"));
  const [type, found]: [ElementType, unknown] = float !== undefined || floats !== undefined ? ["F32", float ?? floats] : ["I64", int ?? ints];
  if (found === undefined) throw new UnsupportedCase(`Constant with attributes ${Object.keys(node.attributes).join(", ")}`);
  return constant(storedTensor({ dtype: type, shape: Array.isArray(found) ? [found.length] : [], data: [found].flat() }, "the value of Constant"));
};

const constantOfShape: Operator = (call) => {
  const shape = known(call, 0);
  const { value } = call.node.attributes;
  const { type, numbers } = value === undefined ? { type: "F32" as const, numbers: Float64Array.of(0) } : storedTensor(value, "the value of ConstantOfShape");
  return constant({ type, shape, numbers: new Float64Array(sizeOf(shape)).fill(numbers[0] ?? NaN) });
};

const OPERATORS: Readonly<Record<string, Operator>> = {
  Cast: (call) => cast(input(call, 0), call.node.attributes["to"]),
  CastLike: (call) => castTo(input(call, 0), input(call, 1).type),
  Clip: clip,
  Concat: (call) => {
    const values = call.inputs.map((_, slot) => input(call, slot));
    return joined(values, axisOf(call, whole(call, "axis", NaN), input(call, 0).shape.length));
  },
  Constant: constantNode,
  ConstantOfShape: constantOfShape,
  Expand: expand,
  Gather: (call) => gathered(input(call, 0), input(call, 1), axisOf(call, whole(call, "axis", 0), input(call, 0).shape.length)),
  GatherElements: (call) => gatheredElements(input(call, 0), input(call, 1), axisOf(call, whole(call, "axis", 0), input(call, 0).shape.length)),
  Identity: (call) => input(call, 0),
  Mod: mod,
  Range: range,
  Reshape: reshape,
  Shape: shapeOf,
  Size: (call) => integers([sizeOf(input(call, 0).shape)], []),
  Slice: slice,
  Squeeze: squeeze,
  Tile: tile,
  Transpose: (call) => transposed(input(call, 0), call.node.attributes["perm"] as readonly number[] | undefined),
  Trilu: trilu,
  Unsqueeze: unsqueeze,
  Where: (call) => where(call.inputs.map((_, slot) => input(call, slot))),
};

/** The output of a graph whose input is `given`. @throws UnsupportedCase naming the operator or the shapes at fault. */
export function runGraph({ input: taken, output, initializers, nodes }: Subgraph, given: Value): Value {
  const values = new Map<string, Value>([...initializers].map(([name, stored]) => [name, constant(stored)]));
  values.set(taken.name, given);
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => {
      const value = values.get(name);
      if (value === undefined && name !== "") throw new UnsupportedCase(`${node.op} reads '${name}', which nothing gives`);
      return value;
    });
    const [name, ...more] = node.outputs;
    if (name === undefined || more.length > 0) throw new UnsupportedCase(`${node.op} with ${node.outputs.length} outputs`);
    const operator = OPERATORS[node.op];
    if (operator === undefined && !isPointwise(node.op)) throw new UnsupportedCase(`operator ${node.op} in a subgraph`);
    const call: Call = { node, inputs };
    values.set(name, operator === undefined ? pointwise(node.op, inputs.map((_, slot) => input(call, slot))) : operator(call));
  }
  const value = values.get(output);
  if (value === undefined) throw new UnsupportedCase(`nothing gives the output '${output}'`);
  return value;
}
