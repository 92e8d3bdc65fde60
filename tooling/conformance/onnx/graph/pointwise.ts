import type { Expr, OpName } from "@polyhead/expr";
import { UnsupportedCase } from "../../unsupported.ts";
import { elementOfCode, kindOf, rounded, widerOf, type ElementType, type Kind } from "./element.ts";
import { broadcast, onto } from "./shaping.ts";
import { computed, fitsI32, literal, sizeOf, truth, type Cell, type Scope, type Value } from "./value.ts";

/** An operator on one element at a time, of operands of one kind. */
interface Rule {
  readonly takes: readonly Kind[];
  /** Kind of the result; default the operands'. */
  readonly gives?: "bool";
  /** Of operands that do not depend on the scores: computed as ONNX does it. */
  readonly number: (x: number, y: number, kind: Kind) => number;
  /** Of finite operands. */
  readonly expr: (scope: Scope, x: Expr, y: Expr, kind: Kind) => Expr;
  /** The GPU's numbers are those of `number`, for these kinds. */
  readonly exact?: readonly Kind[];
  /** What becomes of −∞; without it a subgraph that gets that far is not supported. */
  readonly masked?: (scope: Scope, cells: readonly [Cell, Cell], finite: Expr, values: readonly Value[]) => Cell;
}

const NUMBERS: readonly Kind[] = ["float", "int"];
const FLOATS: readonly Kind[] = ["float"];
const TRUTHS: readonly Kind[] = ["bool"];

const condition = (scope: Scope, { masked }: Cell): Expr<"bool"> => masked ?? truth(scope, false);
const either = (scope: Scope, cells: readonly Cell[]): Expr<"bool"> => cells.map((cell) => condition(scope, cell)).reduce((a, b) => a.or(b));
const both = (scope: Scope, cells: readonly Cell[]): Expr<"bool"> => cells.map((cell) => condition(scope, cell)).reduce((a, b) => a.and(b));

const of = (op: OpName) => (scope: Scope, x: Expr, y: Expr): Expr => scope.apply(op, [x, y]);
const one = (op: OpName) => (scope: Scope, x: Expr): Expr => scope.apply(op, [x]);

/** A float function of one operand, and its limit at −∞ where there is one. */
function curve(op: OpName, number: (x: number) => number, limit?: number): Rule {
  return {
    takes: FLOATS,
    number,
    expr: one(op),
    ...(limit !== undefined && { masked: (scope, [{ masked }], finite) => ({ value: scope.apply("select", [masked!, limit, finite]) }) }),
  };
}

/** −∞ stays −∞ when it is multiplied by what is positive everywhere. */
const scaled: Rule["masked"] = (_, [x, y], value, values) => {
  const other = values[x.masked === undefined ? 0 : 1];
  if ((x.masked === undefined || y.masked === undefined) && other?.data?.().every((factor) => factor > 0 && factor < Infinity) === true) return { value, masked: (x.masked ?? y.masked)! };
  throw new UnsupportedCase("a product of −∞ and what is not positive throughout");
};

/** Comparisons in which −∞ is less than all else and equal to itself. */
function comparison(number: (x: number, y: number) => boolean, expr: Rule["expr"], masked: (x: Expr<"bool">, y: Expr<"bool">, finite: Expr<"bool">) => Expr<"bool">): Rule {
  return {
    takes: NUMBERS,
    gives: "bool",
    number: (x, y) => Number(number(x, y)),
    expr,
    exact: ["int", "bool"],
    masked: (scope, [x, y], finite) => ({ value: masked(condition(scope, x), condition(scope, y), finite as Expr<"bool">) }),
  };
}

const less = comparison((x, y) => x < y, of("lt"), (x, y, finite) => y.not().and(x.or(finite)));
const lessOrEqual = comparison((x, y) => x <= y, of("le"), (x, y, finite) => x.or(y.not().and(finite)));
const swapped = ({ number, expr, masked, ...rest }: Rule): Rule => ({
  ...rest,
  number: (x, y, kind) => number(y, x, kind),
  expr: (scope, x, y, kind) => expr(scope, y, x, kind),
  masked: (scope, [x, y], finite, values) => masked!(scope, [y, x], finite, values),
});

const logic = (number: (x: boolean, y: boolean) => boolean, expr: Rule["expr"]): Rule => ({ takes: TRUTHS, number: (x, y) => Number(number(x !== 0, y !== 0)), expr, exact: TRUTHS });

const erf = (x: number): number => {
  // ∫ exp(−t²) by its series, whose terms stay small enough where erf is not yet 1.
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18 && n < 400; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

const UNARY: Readonly<Record<string, Rule>> = {
  Abs: { takes: NUMBERS, number: Math.abs, expr: one("abs"), exact: NUMBERS },
  Ceil: curve("ceil", Math.ceil),
  Cos: curve("cos", Math.cos),
  Erf: curve("erf", erf, -1),
  Exp: curve("exp", Math.exp, 0),
  Floor: curve("floor", Math.floor),
  Log: curve("log", Math.log),
  Neg: { takes: NUMBERS, number: (x) => -x, expr: one("neg"), exact: NUMBERS },
  Not: { takes: TRUTHS, number: (x) => 1 - x, expr: one("not"), exact: TRUTHS },
  Reciprocal: { takes: FLOATS, number: (x) => 1 / x, expr: (scope, x) => scope.apply("div", [1, x]) },
  Relu: { takes: NUMBERS, number: (x) => Math.max(x, 0), expr: (scope, x) => scope.apply("max", [x, 0]), exact: NUMBERS, masked: (scope, [{ masked }], finite) => ({ value: scope.apply("select", [masked!, 0, finite]) }) },
  Round: curve("round", (x) => { const down = Math.floor(x); return x - down === 0.5 ? down + Math.abs(down % 2) : Math.round(x); }),
  Sigmoid: curve("sigmoid", (x) => 1 / (1 + Math.exp(-x)), 0),
  Sign: { takes: NUMBERS, number: Math.sign, expr: one("sign"), exact: NUMBERS },
  Sin: curve("sin", Math.sin),
  Sqrt: curve("sqrt", Math.sqrt),
  Tanh: curve("tanh", Math.tanh, -1),
};

const BINARY: Readonly<Record<string, Rule>> = {
  Add: { takes: NUMBERS, number: (x, y) => x + y, expr: of("add"), exact: NUMBERS, masked: (scope, cells, value) => ({ value, masked: either(scope, cells) }) },
  And: logic((x, y) => x && y, of("and")),
  Div: { takes: NUMBERS, number: (x, y, kind) => (kind === "int" ? Math.trunc(x / y) : x / y), expr: (scope, x, y, kind) => scope.apply(kind === "int" ? "idiv" : "div", [x, y]), exact: ["int"], masked: (scope, cells, value, values) => (cells[1].masked ? forbid("a quotient by −∞") : scaled(scope, cells, value, values)) },
  Equal: { ...comparison((x, y) => x === y, of("eq"), (x, y, finite) => x.and(y).or(x.or(y).not().and(finite))), takes: ["float", "int", "bool"] },
  Greater: swapped(less),
  GreaterOrEqual: swapped(lessOrEqual),
  Less: less,
  LessOrEqual: lessOrEqual,
  Max: {
    takes: NUMBERS, number: (x, y) => Math.max(x, y), expr: of("max"), exact: NUMBERS,
    masked: (scope, [x, y], finite) => ({ value: scope.apply("select", [condition(scope, x), y.value, scope.apply("select", [condition(scope, y), x.value, finite])]), masked: both(scope, [x, y]) }),
  },
  Min: { takes: NUMBERS, number: (x, y) => Math.min(x, y), expr: of("min"), exact: NUMBERS, masked: (scope, cells, value) => ({ value, masked: either(scope, cells) }) },
  Mul: { takes: NUMBERS, number: (x, y) => x * y, expr: of("mul"), exact: NUMBERS, masked: scaled },
  Or: logic((x, y) => x || y, of("or")),
  Pow: { takes: FLOATS, number: (x, y) => x ** y, expr: of("pow") },
  Sub: { takes: NUMBERS, number: (x, y) => x - y, expr: of("sub"), exact: NUMBERS, masked: (_, [x, y], value) => (y.masked ? forbid("a difference from −∞") : { value, ...(x.masked && { masked: x.masked }) }) },
  Xor: logic((x, y) => x !== y, (scope, x, y) => scope.apply("not", [scope.apply("eq", [x, y])])),
};

function forbid(what: string): never {
  throw new UnsupportedCase(what);
}

/** The operators that take any number of operands, two by two. */
const VARIADIC: Readonly<Record<string, string>> = { Max: "Max", Min: "Min", Sum: "Add" };

/** The operators below, by name. */
export const isPointwise = (op: string): boolean => Object.hasOwn(UNARY, op) || Object.hasOwn(BINARY, op) || Object.hasOwn(VARIADIC, op);

/** Applies a pointwise operator, operands broadcast by NumPy's rule. @throws UnsupportedCase naming operator and operands. */
export function pointwise(op: string, operands: readonly Value[]): Value {
  const name = VARIADIC[op] ?? op;
  const rule = UNARY[name] ?? BINARY[name];
  if (rule === undefined) throw new UnsupportedCase(`operator ${op}`);
  const arity = name in UNARY ? 1 : 2;
  const [first, ...others] = operands;
  if (first !== undefined && op in VARIADIC) return others.length === 0 ? first : others.reduce((so, next) => applied(op, rule, [so, next]), first);
  if (operands.length !== arity) throw new UnsupportedCase(`${op} of ${operands.length} operands`);
  return applied(op, rule, operands);
}

function applied(op: string, rule: Rule, operands: readonly Value[]): Value {
  const type = operands.map((value) => value.type).reduce(widerOf);
  const kind = kindOf(type);
  const odd = operands.find((value) => kindOf(value.type) !== kind || !rule.takes.includes(kindOf(value.type)));
  if (odd !== undefined) throw new UnsupportedCase(`${op} of ${operands.map((value) => value.type).join(" and ")}`);
  const shape = broadcast(op, operands.map((value) => value.shape));
  const spread = operands.map((value) => onto(value, shape));
  const result = rule.gives === "bool" ? "BOOL" : type;
  const known = spread.every((value) => value.data !== undefined);
  const data = (): Float64Array => {
    const [x, y] = spread.map((value) => value.data!());
    return Float64Array.from({ length: sizeOf(shape) }, (_, i) => rounded(result, rule.number(x![i]!, y?.[i] ?? 0, kind)));
  };
  return computed({
    type: result,
    shape,
    data: known ? data : undefined,
    exact: (rule.exact ?? []).includes(kind) && spread.every(fitsI32) && spread.every(isAllFinite),
    at: (index, scope) => {
      const cells = spread.map((value) => value.at(index, scope));
      const [x, y = x] = cells as [Cell, Cell?];
      const value = rule.expr(scope, x.value, y.value, kind);
      if (cells.every((cell) => cell.masked === undefined)) return { value };
      if (rule.masked === undefined) throw new UnsupportedCase(`${op} of −∞`);
      return rule.masked(scope, [x, y], value, spread);
    },
  });
}

const isAlways = (condition: Expr<"bool"> | undefined): boolean => condition?.op === "const" && condition.leaf.value === 1;

/** Of known numbers none is infinite: what becomes of −∞ is then ONNX's to say, and ours to capture. */
const isAllFinite = ({ data }: Value): boolean => data?.().every(Number.isFinite) ?? true;

/** `Where`: a condition, and two operands of one kind. */
export function where(operands: readonly Value[]): Value {
  if (operands.length !== 3) throw new UnsupportedCase(`Where of ${operands.length} operands`);
  const [test, yes, no] = operands as [Value, Value, Value];
  const kind = kindOf(yes.type);
  if (test.type !== "BOOL" || kindOf(no.type) !== kind) throw new UnsupportedCase(`Where of ${test.type}, ${yes.type} and ${no.type}`);
  const shape = broadcast("Where", operands.map((value) => value.shape));
  const [c, a, b] = operands.map((value) => onto(value, shape)) as [Value, Value, Value];
  const type = widerOf(yes.type, no.type);
  const [cs, as, bs] = [c.data, a.data, b.data];
  return computed({
    type,
    shape,
    data: cs && as && bs && (() => cs().map((truthful, i) => (truthful !== 0 ? as()[i]! : bs()[i]!))),
    exact: true,
    at: (index, scope) => {
      const [chosen, x, y] = [c, a, b].map((value) => value.at(index, scope)) as [Cell, Cell, Cell];
      const choose = chosen.value as Expr<"bool">;
      const pick = (p: Expr, q: Expr): Expr => (p.type === "bool" && q.type === "bool" ? ifTrue(choose, p as Expr<"bool">, q as Expr<"bool">) : scope.apply("select", [choose, p, q]));
      const masked = x.masked === undefined && y.masked === undefined ? undefined : ifTrue(choose, condition(scope, x), condition(scope, y));
      // What a branch of −∞ alone would give is never looked at.
      const value = isAlways(y.masked) ? x.value : isAlways(x.masked) ? y.value : pick(x.value, y.value);
      return { value, ...(masked && { masked }) };
    },
  });
}

const ifTrue = (test: Expr<"bool">, yes: Expr<"bool">, no: Expr<"bool">): Expr<"bool"> => test.and(yes).or(test.not().and(no));

/** `Cast` to the type of code `to`. Floats are cut towards zero. */
export function cast(value: Value, to: unknown): Value {
  const type = elementOfCode(to);
  return castTo(value, type);
}

export function castTo(value: Value, type: ElementType): Value {
  const [before, after] = [kindOf(value.type), kindOf(type)];
  const { data } = value;
  if (data === undefined && after === "int" && type !== "I64" && type !== "I32") throw new UnsupportedCase(`Cast of scores to ${type}`);
  return computed({
    type,
    shape: value.shape,
    data: data && (() => data().map((x) => rounded(type, after === "int" ? Math.trunc(x) : x))),
    exact: before === after || (before !== "float" && fitsI32(value)),
    at: (index, scope) => {
      const cell = value.at(index, scope);
      if (before === after) return cell;
      if (cell.masked !== undefined) throw new UnsupportedCase(`Cast of −∞ to ${type}`);
      if (after !== "bool") return { value: scope.apply(after === "int" ? "i32" : "f32", [cell.value]) };
      return { value: scope.apply("not", [scope.apply("eq", [cell.value, literal(scope, before === "int" ? "int" : "float", 0)])]) };
    },
  });
}
