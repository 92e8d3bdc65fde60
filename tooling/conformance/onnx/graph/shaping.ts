import { UnsupportedCase } from "../../unsupported.ts";
import { kindOf } from "./element.ts";
import { computed, constant, literal, show, sizeOf, type Index, type Scope, type Value } from "./value.ts";

/** Arithmetic of indices: once on numbers, for tensors that are known, and once on expressions. */
interface Algebra<T> {
  readonly whole: (n: number) => T;
  readonly add: (x: T, y: T) => T;
  readonly mul: (x: T, by: number) => T;
  /** Of what is not negative. */
  readonly idiv: (x: T, by: number) => T;
  readonly mod: (x: T, by: number) => T;
  /** An entry of an integer tensor; negative ones count from the end of an axis of `length`. */
  readonly entry: (value: Value, index: readonly T[], length: number) => T;
}

const onNumbers: Algebra<number> = {
  whole: (n) => n,
  add: (x, y) => x + y,
  mul: (x, by) => x * by,
  idiv: (x, by) => Math.floor(x / by),
  mod: (x, by) => x % by,
  entry: ({ data, shape }, index, length) => {
    const found = data!()[flat(index, shape)]!;
    return found < 0 ? found + length : found;
  },
};

const onExpressions = (scope: Scope): Algebra<Index> => ({
  whole: (n) => literal(scope, "int", n) as Index,
  add: (x, y) => x.add(y) as Index,
  mul: (x, by) => x.mul(by) as Index,
  idiv: (x, by) => x.idiv(by),
  mod: (x, by) => x.mod(by),
  entry: (value, index, length) => {
    const found = value.at(index, scope).value as Index;
    return value.data!().some((x) => x < 0) ? (found.lt(0).where(found.add(length), found) as Index) : found;
  },
});

const flat = (index: readonly number[], shape: readonly number[]): number => index.reduce((at, x, axis) => at * shape[axis]! + x, 0);

function unravelled(at: number, shape: readonly number[]): number[] {
  let rest = at;
  return shape.toReversed().map((n) => {
    const x = rest % n;
    rest = Math.floor(rest / n);
    return x;
  }).reverse();
}

type Places = <T>(index: readonly T[], algebra: Algebra<T>) => readonly T[];

/** A tensor whose elements are those of `value`, elsewhere. */
function moved(value: Value, shape: readonly number[], places: Places): Value {
  const { type, data } = value;
  return computed({
    type,
    shape,
    data: data && (() => {
      const numbers = data();
      return Float64Array.from({ length: sizeOf(shape) }, (_, i) => numbers[flat(places(unravelled(i, shape), onNumbers), value.shape)]!);
    }),
    exact: true,
    at: (index, scope) => value.at(places(index, onExpressions(scope)), scope),
  });
}

/** The shape that all operands broadcast to. @throws UnsupportedCase */
export function broadcast(op: string, shapes: readonly (readonly number[])[]): readonly number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = new Set(shapes.map((shape) => shape[axis - rank + shape.length] ?? 1).filter((n) => n !== 1));
    if (sizes.size > 1) throw new UnsupportedCase(`${op} of shapes ${shapes.map(show).join(" and ")}, which do not broadcast`);
    return [...sizes][0] ?? 1;
  });
}

/** The tensor repeated to `shape`, which it broadcasts to. */
export function onto(value: Value, shape: readonly number[]): Value {
  const lead = shape.length - value.shape.length;
  if (show(shape) === show(value.shape)) return value;
  return moved(value, shape, (index, { whole }) => value.shape.map((n, axis) => (n === 1 ? whole(0) : index[lead + axis]!)));
}

const origins = new WeakMap<Value, Value>();

/** The same elements in row-major order under another shape. */
export function reshaped(op: string, given: Value, shape: readonly number[]): Value {
  if (sizeOf(shape) !== sizeOf(given.shape)) throw new UnsupportedCase(`${op} of ${show(given.shape)} to ${show(shape)}`);
  // A shape and back is no arithmetic.
  const value = origins.get(given) ?? given;
  if (show(shape) === show(value.shape)) return value;
  const result = moved(value, shape, reshapedIndex(shape, value.shape));
  origins.set(result, value);
  return result;
}

/** Where only axes of one entry come or go, the others keep their index; else it is counted through. */
function reshapedIndex(shape: readonly number[], before: readonly number[]): Places {
  const wide = (of: readonly number[]): number[] => of.flatMap((n, axis) => (n === 1 ? [] : [axis]));
  const [kept, source] = [wide(shape), wide(before)];
  if (kept.map((axis) => shape[axis]).join() === source.map((axis) => before[axis]).join()) {
    return (index, { whole }) => before.map((n, axis) => (n === 1 ? whole(0) : index[kept[source.indexOf(axis)]!]!));
  }
  return (index, { whole, add, mul, idiv, mod }) => {
    const at = index.reduce((so, x, axis) => add(mul(so, shape[axis]!), x), whole(0));
    return before.map((n, axis) => mod(idiv(at, sizeOf(before.slice(axis + 1))), n));
  };
}

export function transposed(value: Value, given: readonly number[] | undefined): Value {
  const rank = value.shape.length;
  const order = given ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  if (order.length !== rank || new Set(order).size !== rank || order.some((axis) => !(axis >= 0 && axis < rank))) throw new UnsupportedCase(`Transpose of ${show(value.shape)} by ${show(order)}`);
  return moved(value, order.map((axis) => value.shape[axis]!), (index) => value.shape.map((_, axis) => index[order.indexOf(axis)]!));
}

export interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly length: number;
}

export function sliced(value: Value, cuts: readonly Cut[]): Value {
  const cutOf = (axis: number): Cut | undefined => cuts.find((cut) => cut.axis === axis);
  return moved(value, value.shape.map((n, axis) => cutOf(axis)?.length ?? n), (index, { whole, add, mul }) =>
    index.map((x, axis) => {
      const cut = cutOf(axis);
      return cut === undefined ? x : add(mul(x, cut.step), whole(cut.start));
    }));
}

export const tiled = (value: Value, repeats: readonly number[]): Value =>
  moved(value, value.shape.map((n, axis) => n * repeats[axis]!), (index, { mod }) => index.map((x, axis) => mod(x, value.shape[axis]!)));

/** @throws UnsupportedCase for indices that depend on the scores, or lie outside. */
function checkIndices(op: string, indices: Value, length: number): void {
  if (kindOf(indices.type) !== "int") throw new UnsupportedCase(`${op} by ${indices.type}`);
  if (indices.data === undefined) throw new UnsupportedCase(`${op} at places that depend on the scores`);
  const outside = indices.data().find((x) => x < -length || x >= length);
  if (outside !== undefined) throw new UnsupportedCase(`${op} at ${outside} of an axis of ${length}`);
}

/** `Gather`: whole slices along an axis. */
export function gathered(value: Value, indices: Value, axis: number): Value {
  const length = value.shape[axis]!;
  checkIndices("Gather", indices, length);
  const rank = indices.shape.length;
  const shape = [...value.shape.slice(0, axis), ...indices.shape, ...value.shape.slice(axis + 1)];
  return moved(value, shape, (index, { entry }) => [...index.slice(0, axis), entry(indices, index.slice(axis, axis + rank), length), ...index.slice(axis + rank)]);
}

/** `GatherElements`: an element each, along an axis. */
export function gatheredElements(value: Value, indices: Value, axis: number): Value {
  const length = value.shape[axis]!;
  checkIndices("GatherElements", indices, length);
  if (indices.shape.length !== value.shape.length || indices.shape.some((n, i) => i !== axis && n > value.shape[i]!)) throw new UnsupportedCase(`GatherElements of ${show(value.shape)} by ${show(indices.shape)}`);
  return moved(value, indices.shape, (index, { entry }) => index.map((x, i) => (i === axis ? entry(indices, index, length) : x)));
}

/** The tensors one after the other. Only what is known can be joined: an element of the scores stays where it is. */
export function joined(values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (first === undefined || values.some(({ data }) => data === undefined)) throw new UnsupportedCase("Concat of scores");
  if (values.some(({ shape, type }) => type !== first.type || shape.length !== first.shape.length || shape.some((n, i) => i !== axis && n !== first.shape[i]))) throw new UnsupportedCase(`Concat of shapes ${values.map(({ shape }) => show(shape)).join(" and ")}`);
  const shape = first.shape.map((n, i) => (i === axis ? values.reduce((sum, value) => sum + value.shape[axis]!, 0) : n));
  const data = (): Float64Array => Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
    const index = unravelled(i, shape);
    let at = index[axis]!;
    const from = values.find((value) => {
      if (at < value.shape[axis]!) return true;
      at -= value.shape[axis]!;
      return false;
    })!;
    return from.data!()[flat(index.with(axis, at), from.shape)]!;
  });
  return constant({ type: first.type, shape, numbers: data() });
}

/** Where a matrix of the last two axes keeps its entries: on and below diagonal `k`, or on and above it. */
export function triangle(shape: readonly number[], k: number, upper: boolean): Value {
  const rank = shape.length;
  if (rank < 2) throw new UnsupportedCase(`Trilu of ${show(shape)}`);
  const [row, column] = [rank - 2, rank - 1];
  return computed({
    type: "BOOL",
    shape,
    data: () => Float64Array.from({ length: sizeOf(shape) }, (_, i) => {
      const index = unravelled(i, shape);
      const past = index[column]! - index[row]!;
      return Number(upper ? past >= k : past <= k);
    }),
    exact: true,
    at: (index) => {
      const past = index[column]!.sub(index[row]!);
      return { value: upper ? past.ge(k) : past.le(k) };
    },
  });
}
