import type { Builder } from "./builder.ts";
import { I32_MAX, I32_MIN } from "./arithmetic.ts";
import { isCapture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import { type Expr, type Like } from "./expr.ts";
import { type Hole, type Token, lex } from "./lex.ts";
import { isProgram, unknownName } from "./program.ts";
import { OPS, type OpName } from "./types.ts";

/** How tightly an infix operator binds; higher binds tighter. */
const BINDING: Readonly<Record<string, number>> = {
  "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
};

const INFIX: Readonly<Record<string, OpName>> = { "||": "or", "&&": "and", "==": "eq", "<": "lt", "<=": "le", "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod" };

/** The functions of templates; all but `clamp` and `select` are operators by the same name. */
const CALLABLE: readonly OpName[] = ["abs", "sign", "min", "max", "pow", "exp", "exp2", "log", "log2", "sqrt", "rsqrt", "tanh", "sigmoid", "erf", "sin", "cos", "floor", "ceil", "round", "idiv", "f32", "i32"];

/** Holds the outputs against what a front end asks for; throws, or returns them converted. */
export type Check = (builder: Builder, outputs: readonly Expr[]) => readonly Expr[];

/** The outputs of a template: `name = expression;` any number of times, then one expression, or several by commas. */
export function parse(builder: Builder, variables: ReadonlyMap<string, Expr>, strings: readonly string[], holes: readonly Hole[], check: Check): readonly Expr[] {
  return new Parser(builder, variables, strings, holes).outputs(check);
}

class Parser {
  readonly #builder: Builder;
  readonly #names: Map<string, Expr>;
  readonly #tokens: readonly Token[];
  readonly #text: string;
  #position = 0;

  constructor(builder: Builder, variables: ReadonlyMap<string, Expr>, strings: readonly string[], holes: readonly Hole[]) {
    this.#builder = builder;
    this.#names = new Map(variables);
    ({ tokens: this.#tokens, text: this.#text } = lex(strings, holes));
  }

  outputs(check: Check): readonly Expr[] {
    while (this.#peek().kind === "name" && isMark(this.#peek(1), "=")) this.#binding();
    const start = this.#peek();
    const outputs = [this.#expression()];
    while (this.#accept(",")) outputs.push(this.#expression());
    const rest = this.#peek();
    if (rest.kind !== "end") throw this.#error(rest, `unexpected ${quote(rest)}; expected an operator or the end`, "check the brackets, or put an operator between the two");
    return this.#guard(start, () => check(this.#builder, outputs));
  }

  #binding(): void {
    const name = this.#next();
    if (this.#names.has(name.text) || isReserved(name.text)) throw this.#error(name, `'${name.text}' already has a meaning; expected a new name`, "choose another name", "EXPR_NAME");
    this.#next();
    const value = this.#expression();
    this.#expect(";", "end the definition with ';'");
    this.#names.set(name.text, value);
  }

  /** The loosest level: `condition ? a : b`, right-associative. */
  #expression(): Expr {
    const condition = this.#infix(0);
    const question = this.#peek();
    if (!this.#accept("?")) return condition;
    const whenTrue = this.#expression();
    this.#expect(":", "a choice reads condition ? a : b");
    return this.#apply(question, "select", condition, whenTrue, this.#expression());
  }

  /** Infix operators that bind tighter than `above`, left-associative. */
  #infix(above: number): Expr {
    let left = this.#unary();
    for (;;) {
      const token = this.#peek();
      const binding = token.kind === "mark" ? (BINDING[token.text] ?? 0) : 0;
      if (binding <= above) return left;
      this.#next();
      left = this.#combine(token, left, this.#infix(binding));
    }
  }

  #combine(token: Token, left: Expr, right: Expr): Expr {
    if (token.text === ">") return this.#apply(token, "lt", right, left);
    if (token.text === ">=") return this.#apply(token, "le", right, left);
    if (token.text === "!=") return this.#apply(token, "not", this.#apply(token, "eq", left, right));
    return this.#apply(token, INFIX[token.text] ?? "add", left, right);
  }

  #unary(): Expr {
    const token = this.#peek();
    if (this.#accept("!")) return this.#apply(token, "not", this.#unary());
    if (!this.#accept("-")) return this.#primary();
    // The sign belongs to the literal, since the smallest i32 has no positive counterpart.
    if (this.#peek().kind === "number") return this.#literal(-1);
    return this.#apply(token, "neg", this.#unary());
  }

  #primary(): Expr {
    const token = this.#peek();
    if (token.kind === "number") return this.#literal(1);
    if (this.#accept("(")) {
      const inner = this.#expression();
      this.#expect(")", "close the bracket");
      return inner;
    }
    this.#next();
    if (token.kind === "hole") return this.#hole(token, token.hole);
    if (token.kind === "name") return isMark(this.#peek(), "(") ? this.#call(token) : this.#name(token);
    throw this.#error(token, `unexpected ${quote(token)}; expected a value`, "give the operator its operand");
  }

  #literal(sign: 1 | -1): Expr {
    const token = this.#next();
    const value = sign * Number(token.text);
    const float = /[.eE]/.test(token.text);
    if (!float && (value < I32_MIN || value > I32_MAX)) {
      throw this.#error(token, `${value} is not an i32; expected ${I32_MIN} to ${I32_MAX}`, `write ${token.text}.0 for a float`, "EXPR_CONSTANT");
    }
    return this.#guard(token, () => this.#builder.constant(float || value !== 0 ? value : 0, float ? "f32" : "i32"));
  }

  #name(token: Token): Expr {
    if (isReserved(token.text)) return this.#builder.constant(token.text === "true");
    const known = this.#names.get(token.text);
    if (!known) throw unknownName(token.text, [...this.#names.keys()]).at(this.#mark(token));
    return known;
  }

  #hole(token: Token, hole: Hole): Expr {
    if (isProgram(hole)) {
      const [only] = hole.outputs;
      if (!only || hole.outputs.length > 1) throw this.#error(token, `\${…} holds a program with ${hole.outputs.length} outputs; expected 1`, "choose one of its outputs", "EXPR_TYPE");
      return this.#builder.lift(only);
    }
    if (!isCapture(hole)) return this.#guard(token, () => this.#builder.lift(hole));
    const index = this.#accept("[") ? this.#list("]") : [];
    return this.#guard(token, () => this.#builder.load(hole, index));
  }

  #call(name: Token): Expr {
    this.#next();
    const args = this.#list(")");
    if (name.text === "clamp") {
      const [x, low, high] = this.#counted(name, args, 3);
      return this.#apply(name, "min", this.#apply(name, "max", x, low), high);
    }
    if (name.text === "select") {
      const [whenFalse, whenTrue, condition] = this.#counted(name, args, 3);
      return this.#apply(name, "select", condition, whenTrue, whenFalse);
    }
    const op = CALLABLE.find((known) => known === name.text);
    if (!op) {
      const { summary, fix } = unknownName(name.text, [...CALLABLE, "clamp", "select"]);
      throw this.#error(name, summary.replace("name", "function"), fix, "EXPR_NAME");
    }
    return this.#apply(name, op, ...this.#counted(name, args, OPS[op].arity));
  }

  #counted(name: Token, args: readonly Expr[], count: number): [Expr, Expr, Expr] {
    if (args.length === count) return args as [Expr, Expr, Expr];
    throw this.#error(name, `${name.text} was given ${args.length} arguments; expected ${count}`, `pass ${count}`, "EXPR_ARGUMENTS");
  }

  #list(close: ")" | "]"): readonly Expr[] {
    const items: Expr[] = [];
    if (this.#accept(close)) return items;
    do items.push(this.#expression());
    while (this.#accept(","));
    this.#expect(close, "separate with ',' and close the bracket");
    return items;
  }

  #apply(token: Token, op: OpName, ...args: readonly Like[]): Expr {
    return this.#guard(token, () => this.#builder.apply(op, args));
  }

  /** Points an error of the builder at the token that caused it. */
  #guard<Made>(token: Token, make: () => Made): Made {
    try {
      return make();
    } catch (error) {
      throw error instanceof ExprError ? error.at(this.#mark(token)) : error;
    }
  }

  #peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#position + ahead, this.#tokens.length - 1)]!;
  }

  #next(): Token {
    const token = this.#peek();
    this.#position++;
    return token;
  }

  #accept(mark: string): boolean {
    const found = isMark(this.#peek(), mark);
    if (found) this.#position++;
    return found;
  }

  #expect(mark: string, fix: string): void {
    const token = this.#peek();
    if (!this.#accept(mark)) throw this.#error(token, `unexpected ${quote(token)}; expected '${mark}'`, fix);
  }

  #mark({ offset }: Token): { text: string; offset: number } {
    return { text: this.#text, offset };
  }

  #error(token: Token, summary: string, fix: string, code: ExprError["code"] = "EXPR_SYNTAX"): ExprError {
    return new ExprError(code, summary, fix, this.#mark(token));
  }
}

/** Names that mean a constant wherever they stand. */
export function isReserved(name: string): boolean {
  return name === "true" || name === "false";
}

function isMark(token: Token, text: string): boolean {
  return token.kind === "mark" && token.text === text;
}

function quote({ kind, text }: Token): string {
  return kind === "end" ? text : `'${text}'`;
}
