import { I32_MAX, I32_MIN, arithmetic, unwrapped } from "./arithmetic.ts";
import type { Capture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import { Expr, type ExprOwner, type Leaf, type Like } from "./expr.ts";
import { simplify } from "./simplify.ts";
import { OPS, type NodeKind, type OpName, type ScalarType } from "./types.ts";

/**
 * Owns the nodes of one or more expressions and keeps equal ones equal by identity (hash-consing).
 *
 * The table lives and dies with its expressions: nothing is kept by the module. An expression of another builder is
 * adopted, node by node, when it is combined with one of this builder.
 */
export class Builder implements ExprOwner {
  readonly #nodes = new Map<string, Expr>();
  readonly #ids = new Map<Expr, number>();
  readonly #captures = new Map<Capture, number>();
  readonly #adopted = new WeakMap<Expr, Expr>();

  /** The builder of the first expression among `values`, or a new one when all are literals. */
  static of(values: readonly Like[]): Builder {
    const first = values.find((value) => isExpr(value));
    return first?.owner instanceof Builder ? first.owner : new Builder();
  }

  /** A constant: whole numbers in range are i32, other numbers f32, unless a type is given. */
  constant(value: number | boolean, type?: ScalarType): Expr {
    if (typeof value === "boolean") return this.intern("const", "bool", [], { value: Number(value) });
    const chosen = type ?? (isI32(value) && !Object.is(value, -0) ? "i32" : "f32");
    if (chosen === "f32" && !Number.isFinite(Math.fround(value))) {
      throw new ExprError(
        "EXPR_CONSTANT",
        `the constant ${String(value)} is not a finite f32; WGSL has no literal for it`,
        "use a large finite number, or a mask instead of an infinite score",
      );
    }
    return this.intern("const", chosen, [], { value });
  }

  variable(name: string, type: ScalarType): Expr {
    return this.intern("var", type, [], { name });
  }

  /** The element of a capture at one index an axis; no index at all for a 0-d capture. */
  load(capture: Capture, index: readonly Like[]): Expr<"f32" | "i32"> {
    const { name, shape } = capture;
    if (index.length !== shape.length) {
      throw new ExprError(
        "EXPR_CAPTURE",
        `capture '${name}' of shape [${shape.join(", ")}] was given ${index.length} indices; expected ${shape.length}`,
        shape.length === 0 ? "use it without brackets" : `write \${${name}}[…] with one index an axis`,
      );
    }
    const args = index.map((each) => this.lift(each));
    for (const [axis, arg] of args.entries()) {
      if (arg.type !== "i32") {
        throw new ExprError("EXPR_TYPE", `index ${axis} of capture '${name}' is ${arg.type}; expected i32`, "convert it with i32(…)");
      }
      const at = arg.op === "const" ? arg.leaf.value : undefined;
      const extent = shape[axis] ?? 0;
      if (at !== undefined && (at < 0 || at >= extent)) {
        throw new ExprError("EXPR_BOUNDS", `index ${axis} of capture '${name}' is ${at}; expected 0 to ${(extent - 1)}`, "keep the index inside the table");
      }
    }
    return this.intern("load", capture.type, args, { capture }) as Expr<"f32" | "i32">;
  }

  /** Anything the builder's methods accept, as an expression of this table. */
  lift(value: Like): Expr {
    if (typeof value === "number" || typeof value === "boolean") return this.constant(value);
    if (isExpr(value)) return this.adopt(value);
    return this.load(value, []);
  }

  /** The same expression as nodes of this table. */
  adopt(expr: Expr): Expr {
    if (expr.owner === this) return expr;
    const known = this.#adopted.get(expr);
    if (known) return known;
    const own = this.intern(expr.op, expr.type, expr.args.map((arg) => this.adopt(arg)), expr.leaf);
    this.#adopted.set(expr, own);
    return own;
  }

  /**
   * An operator applied: types are checked and numbers brought to one type, constants folded, and rewrites that keep
   * every value made.
   *
   * @throws ExprError `EXPR_TYPE` on an operand the operator does not take, `EXPR_CONSTANT` when constants overflow, give
   * an infinity or NaN, or the divisor is the constant 0.
   */
  apply(op: OpName, operands: readonly Like[]): Expr {
    const lifted = operands.map((operand) => this.lift(operand));
    const [type, args] = this.#typed(op, lifted);
    const [first] = args;
    if (OPS[op].takes === "convert" && first?.type === op) return first;
    const divisor = op === "div" || op === "idiv" || op === "mod" ? args[1] : undefined;
    if (divisor?.op === "const" && divisor.leaf.value === 0) {
      throw new ExprError("EXPR_CONSTANT", `${op} by the constant 0; expected another divisor`, "divide by something else, or by a captured scalar if it may become 0");
    }
    if (args.every((arg) => arg.op === "const")) return this.#fold(op, type, args);
    return simplify(this, op, args) ?? this.intern(op, type, args, {});
  }

  /** The one node with this content. Callers pass operands of this table, already typed. */
  intern(op: NodeKind, type: ScalarType, args: readonly Expr[], leaf: Leaf): Expr {
    const { value, name, capture } = leaf;
    const content = [Object.is(value, -0) ? "-0" : value, name, capture && this.#captureId(capture)];
    const key = `${op}|${type}|${args.map((arg) => this.#ids.get(arg)).join(",")}|${content.join("|")}`;
    let node = this.#nodes.get(key);
    if (!node) {
      node = new Expr(this, op, type, Object.freeze([...args]), Object.freeze(leaf));
      this.#nodes.set(key, node);
      this.#ids.set(node, this.#ids.size);
    }
    return node;
  }

  #captureId(capture: Capture): number {
    let id = this.#captures.get(capture);
    if (id === undefined) this.#captures.set(capture, (id = this.#captures.size));
    return id;
  }

  #typed(op: OpName, args: readonly Expr[]): [ScalarType, readonly Expr[]] {
    const { takes } = OPS[op];
    switch (takes) {
      case "convert":
        return [op as "f32" | "i32", args];
      case "logic":
        refuse(op, args, ["bool"]);
        return ["bool", args];
      case "integer":
        refuse(op, args, ["i32"]);
        return ["i32", args];
      case "float":
        refuse(op, args, ["f32", "i32"]);
        return ["f32", args.map((arg) => this.#as(arg, "f32"))];
      case "number":
      case "compare": {
        refuse(op, args, ["f32", "i32"]);
        const unified = this.#unify(op, args);
        return [takes === "compare" ? "bool" : typeOf(unified), unified];
      }
      case "equal":
        return ["bool", this.#unify(op, args)];
      case "select": {
        refuse(op, args.slice(0, 1), ["bool"]);
        const branches = this.#unify(op, args.slice(1));
        return [typeOf(branches), [...args.slice(0, 1), ...branches]];
      }
    }
  }

  /** Brings operands to one type: f32 when numbers are mixed. */
  #unify(op: OpName, args: readonly Expr[]): readonly Expr[] {
    const types = new Set(args.map((arg) => arg.type));
    if (types.size === 1) return args;
    refuse(op, args, ["f32", "i32"]);
    return args.map((arg) => this.#as(arg, "f32"));
  }

  #as(expr: Expr, type: "f32" | "i32"): Expr {
    return expr.type === type ? expr : this.apply(type, [expr]);
  }

  #fold(op: OpName, type: ScalarType, args: readonly Expr[]): Expr {
    const [a = 0, b = 0, c = 0] = args.map((arg) => arg.leaf.value ?? NaN);
    // A condition says nothing of the branches' type, and no function of `select` depends on it.
    const operand = args[0]?.type ?? type;
    const value = arithmetic(op, operand)(a, b, c);
    if (type === "bool") return this.constant(value !== 0);
    const overflowed = type === "i32" && operand === "i32" && OPS[op].takes === "number" && value !== unwrapped(op, a, b);
    if (overflowed || (type === "f32" && !Number.isFinite(Math.fround(value)))) {
      const shown = [a, b, c].slice(0, args.length).join(", ");
      throw new ExprError(
        "EXPR_CONSTANT",
        `${op}(${shown}) of constants ${overflowed ? "overflows i32" : `is ${String(value)}, not a finite f32`}; WGSL refuses such a constant`,
        overflowed ? "write one of them as a float, for example 100000.0" : "keep the constant finite",
      );
    }
    return this.constant(value, type);
  }
}

/** Whether a value is an expression, by shape rather than by class. */
export function isExpr(value: unknown): value is Expr {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "expr";
}

function isI32(value: number): boolean {
  return Number.isInteger(value) && value >= I32_MIN && value <= I32_MAX;
}

function typeOf(args: readonly Expr[]): ScalarType {
  return args[0]?.type ?? "f32";
}

function refuse(op: OpName, args: readonly Expr[], allowed: readonly ScalarType[]): void {
  const wrong = args.find((arg) => !allowed.includes(arg.type));
  if (!wrong) return;
  const fix =
    wrong.type === "bool"
      ? "convert the condition with f32(…) or i32(…), or choose with ?:"
      : allowed[0] === "bool"
        ? "compare it with something to get a condition"
        : "convert it with i32(…), or use / for real division";
  throw new ExprError("EXPR_TYPE", `${op} was given ${wrong.type}; expected ${allowed.join(" or ")}`, fix);
}
