import { arithmetic } from "./arithmetic.ts";
import { type Bindings, type Capture, numbersOf, unbound } from "./capture.ts";
import { ExprError } from "./errors.ts";
import type { Expr } from "./expr.ts";
import { type Program, topological } from "./program.ts";
import type { ScalarType } from "./types.ts";

/** Values of the variables; booleans as such or as 1 and 0. */
export type Env = Readonly<Record<string, number | boolean>>;

type Thunk = () => number;

/** A program prepared for evaluation; see {@link evaluate}. */
export type Evaluator = (env: Env, bindings?: Bindings) => number[];

const compiled = new WeakMap<Program, Evaluator>();

/**
 * The program's outputs in float64: the oracle that every other reading is held against. Booleans come as 1 and 0.
 *
 * Only what is needed is evaluated: the branch not taken may index outside its table. Captures are read at each call;
 * `bindings` gives some of them other numbers, and placeholders the only ones they have.
 *
 * @throws ExprError `EXPR_INPUT` on a missing variable or one of another type, `EXPR_BOUNDS` on an index outside a capture,
 * `EXPR_CAPTURE` on a placeholder that is read and not bound, or a binding of another size.
 */
export function evaluate(program: Program, env: Env, bindings?: Bindings): number[] {
  let run = compiled.get(program);
  if (!run) compiled.set(program, (run = evaluator(program)));
  return run(env, bindings);
}

/** {@link evaluate} with the program prepared once: closures over its nodes, no generated source. */
export function evaluator(program: Program): Evaluator {
  const uses = new Map<Expr, number>();
  const order = topological(program.outputs);
  for (const user of [...order.flatMap((node) => node.args), ...program.outputs]) uses.set(user, (uses.get(user) ?? 0) + 1);
  const slots = new Map(Object.keys(program.vars).map((name, slot) => [name, slot]));
  const values = new Float64Array(slots.size);
  const tables = program.captures.map((capture): Table => ({ capture, numbers: capture.data }));
  // A stamp instead of clearing: a shared node is stale until it has been computed in this very evaluation.
  const clock = { now: 0 };
  const thunks = new Map<Expr, Thunk>();
  const thunk = (node: Expr): Thunk => thunks.get(node) ?? (() => NaN);
  for (const node of order) {
    const direct = compile(node, node.args.map(thunk), values, slots, tables);
    thunks.set(node, node.args.length > 0 && (uses.get(node) ?? 0) > 1 ? once(direct, clock) : direct);
  }
  const outputs = program.outputs.map(thunk);
  const vars = Object.entries(program.vars);
  return (env, bindings) => {
    for (const table of tables) table.numbers = numbersOf(table.capture, bindings);
    // Plain loops: the reference evaluates a program or two for every score.
    for (let slot = 0; slot < vars.length; slot++) {
      const [name, type] = vars[slot]!;
      values[slot] = input(type, env[name], name);
    }
    clock.now++;
    const results = new Array<number>(outputs.length);
    for (let n = 0; n < outputs.length; n++) results[n] = outputs[n]!();
    return results;
  };
}

function once(compute: Thunk, clock: { readonly now: number }): Thunk {
  let stamp = -1;
  let value = NaN;
  return () => {
    if (stamp !== clock.now) {
      value = compute();
      stamp = clock.now;
    }
    return value;
  };
}

/** A capture and the numbers that stand in it during one evaluation. */
interface Table {
  readonly capture: Capture;
  numbers: ArrayLike<number>;
}

function compile(node: Expr, args: readonly Thunk[], values: Float64Array, slots: ReadonlyMap<string, number>, tables: readonly Table[]): Thunk {
  const { op, leaf } = node;
  const [a, b, c] = args as [Thunk, Thunk, Thunk];
  switch (op) {
    case "const": {
      const value = leaf.value ?? NaN;
      return () => value;
    }
    case "var": {
      const slot = slots.get(leaf.name ?? "") ?? -1;
      return () => values[slot] ?? NaN;
    }
    case "load": {
      const table = tables.find(({ capture }) => capture === leaf.capture);
      return table ? reader(table, args) : () => NaN;
    }
    case "select":
      return () => (a() === 0 ? c() : b());
    case "and":
      return () => (a() === 0 ? 0 : b());
    case "or":
      return () => (a() === 0 ? b() : 1);
    default: {
      const f = arithmetic(op, node.args[0]?.type ?? node.type);
      return args.length === 1 ? () => f(a(), 0, 0) : () => f(a(), b(), 0);
    }
  }
}

function reader(table: Table, index: readonly Thunk[]): Thunk {
  const { shape, name } = table.capture;
  return () => {
    let offset = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      const extent = shape[axis]!;
      const at = index[axis]?.() ?? 0;
      if (at < 0 || at >= extent) {
        throw new ExprError("EXPR_BOUNDS", `index ${axis} of capture '${name}' is ${at}; expected 0 to ${(extent - 1)}`, "clamp the index, or guard it with ?:");
      }
      offset = offset * extent + at;
    }
    if (table.numbers.length === 0) throw unbound(table.capture);
    return table.numbers[offset] ?? NaN;
  };
}

function input(type: ScalarType, given: number | boolean | undefined, name: string): number {
  if (typeof given === "boolean" && type === "bool") return Number(given);
  if (typeof given === "number") {
    if (type === "f32" || (type === "i32" && (given | 0) === given) || given === 0 || given === 1) return given;
  }
  throw new ExprError("EXPR_INPUT", `variable '${name}' was given ${String(given)}; expected ${type}`, "pass a value of that type for every variable");
}
