import { describe, expect, it } from "vitest";
import { Builder } from "../src/builder.ts";
import { ExprError, capture, captureDerivatives, derivative, emitWgsl, evaluate, formula, join, printTemplate, program, scalar, substitute, topological, type Program } from "../src/index.ts";
import { EVERY_OP, Random, build, randomEnv, randomTree, valueOf, type Grammar, type Tree } from "./random-programs.ts";
import { interpret } from "./wgsl-interpreter.ts";

const vars = { x: "f32", y: "f32", q: "i32", kv: "i32", on: "bool" } as const;
const captures = [
  capture(Float64Array.of(0.5, -1.25, 3, 0.75, -0.1), [5], { name: "table", learned: true }),
  capture(Int32Array.of(3, -7, 2147483647, 0), [4], { name: "whole" }),
  scalar(1.5, { name: "one" }),
];
const grammar: Grammar = { vars, captures, ops: EVERY_OP.filter((op) => op !== "pow") };
const TYPES = ["f32", "i32", "bool"] as const;

/** Calls `check` on as many random programs as asked for; ones that hold refused constants are drawn again. */
function forPrograms(seed: number, count: number, types: readonly (typeof TYPES)[number][], check: (made: Program, tree: Tree, random: Random) => void): void {
  const random = new Random(seed);
  for (let made = 0, tries = 0; made < count; tries++) {
    if (tries > 3 * count) throw new Error("the generator is mostly refused");
    const tree = randomTree(random, grammar, random.pick(types), 2 + random.below(4));
    const expr = build(new Builder(), tree);
    if (!expr) continue;
    made++;
    check(program(vars, [expr]), tree, random);
  }
}

describe("random programs", () => {
  it("simplification keeps every value, NaN and the sign of zero included", () => {
    forPrograms(1, 6000, TYPES, (made, tree, random) => {
      for (let point = 0; point < 4; point++) {
        const env = randomEnv(random, vars, true);
        const [value] = evaluate(made, env);
        // Messages are dear, so they are made only when they are needed.
        if (!Object.is(value, valueOf(tree, env))) expect(value, JSON.stringify(tree)).toBe(valueOf(tree, env));
      }
    });
  });

  it("a program printed and read again has the same key and the same values", () => {
    forPrograms(2, 3000, TYPES, (made, _, random) => {
      const { strings, holes } = printTemplate(made);
      const again = formula(vars)(strings as unknown as TemplateStringsArray, ...holes);
      expect(again.key, strings.join("${}")).toBe(made.key);
      const env = randomEnv(random, vars, true);
      expect(evaluate(again, env)).toEqual(evaluate(made, env));
    });
  });

  it("emitted WGSL is well typed and has the program's value, shared subexpressions named once", () => {
    let checked = 0;
    forPrograms(3, 3000, TYPES, (made, tree, random) => {
      // Folding is in float64; a literal is f32. Programs whose constants are the same in both can be compared exactly.
      if (topological(made.outputs).some(({ op, type, leaf }) => op === "const" && type === "f32" && Math.fround(leaf.value!) !== leaf.value)) return;
      checked++;
      const emitted = emitWgsl(made, { vars: { x: "x", y: "y", q: "q", kv: "kv", on: "on" }, read: ({ name }, index) => `${name}(${index.join(", ")})` });
      const names = emitted.statements.split("\n").map((line) => line.replace(/^let \w+ = /, ""));
      expect(new Set(names).size).toBe(names.length);
      const env = randomEnv(random, vars, true);
      const scope = Object.fromEntries(Object.entries(vars).map(([name, type]) => [name, { type, value: env[name]! }]));
      const tables = Object.fromEntries(captures.map(({ name, type, data }) => [name, (at: number) => ({ type, value: data[at]! })]));
      const [result] = interpret(emitted, scope, tables);
      expect(result, JSON.stringify(tree)).toEqual({ type: made.type, value: evaluate(made, env)[0] });
    });
    expect(checked).toBeGreaterThan(2000);
  });

  it("the derivative is the slope wherever the function is smooth", () => {
    let checked = 0;
    forPrograms(4, 3000, ["f32"], (made, tree, random) => {
      const env = randomEnv(random, vars);
      const slope = smoothSlope((x) => evaluate(made, { ...env, x })[0]!, env["x"]!);
      if (slope === undefined || !isRegular(made, env)) return;
      const derived = unlessConstant(() => derivative(made, "x"));
      if (!derived) return;
      checked++;
      const [exact] = evaluate(derived, env);
      expect(Math.abs(exact! - slope) / (1 + Math.abs(slope)), `${JSON.stringify(tree)} at ${JSON.stringify(env)}`).toBeLessThan(1e-4);
    });
    expect(checked).toBeGreaterThan(1500);
  });

  it("the derivative by a table's element is the sum over the sites that read it", () => {
    const table = captures[0]!;
    let checked = 0;
    forPrograms(5, 3000, ["f32"], (made, tree, random) => {
      if (!made.captures.includes(table)) return;
      const env = randomEnv(random, vars);
      const element = random.below(table.data.length);
      const kept = table.data[element]!;
      const slope = smoothSlope((value) => {
        table.data[element] = value;
        return evaluate(made, env)[0]!;
      }, kept);
      table.data[element] = kept;
      if (slope === undefined || !isRegular(made, env)) return;
      checked++;
      const exact = captureDerivatives(made)
        .filter((site) => evaluate(site.index, env)[0] === element)
        .reduce((sum, site) => sum + evaluate(site.derivative, env)[0]!, 0);
      expect(Math.abs(exact - slope) / (1 + Math.abs(slope)), `${JSON.stringify(tree)} at ${JSON.stringify(env)}`).toBeLessThan(1e-4);
    });
    expect(checked).toBeGreaterThan(300);
  });

  it("joining and substituting keep the values", () => {
    forPrograms(6, 1000, ["f32"], (made, _, random) => {
      const env = randomEnv(random, vars);
      const other = formula({ x: "f32", y: "f32" })`x * 0.5 + y`;
      const [inner] = evaluate(other, env);
      expect(evaluate(join(made, other), env)).toEqual([...evaluate(made, env), inner]);
      const chained = substitute(made, { x: other });
      expect(evaluate(chained, env)).toEqual(evaluate(made, { ...env, x: inner! }));
    });
  });
});

const SINGULAR_AT_ZERO = new Set(["sqrt", "rsqrt", "log", "log2"]);

/**
 * Whether every step has a slope here: nothing is infinite or NaN on the way, no root or logarithm is taken of zero. A
 * function that levels off at infinity, or √(0·x), has a difference but no derivative by the chain rule.
 */
function isRegular(made: Program, env: Readonly<Record<string, number>>): boolean {
  const nodes = topological(made.outputs);
  const values = new Map(evaluate(program(vars, nodes), env).map((value, i) => [nodes[i], value]));
  return nodes.every((node) => Math.abs(values.get(node)!) < 1e6 && (!SINGULAR_AT_ZERO.has(node.op) || values.get(node.args[0])! > 1e-6));
}

/** What was made, or undefined when it would hold a constant that no shader may hold. */
function unlessConstant<Made>(make: () => Made): Made | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof ExprError && error.code === "EXPR_CONSTANT") return undefined;
    throw error;
  }
}

/** The slope at a point, or undefined near a kink, a jump or where numbers are too large to tell. */
function smoothSlope(f: (x: number) => number, x: number): number | undefined {
  const h = 1e-4;
  const [left2, left, middle, right, right2] = [-2 * h, -h, 0, h, 2 * h].map((step) => f(x + step)) as [number, number, number, number, number];
  const slope = (8 * (right - left) - (right2 - left2)) / (12 * h);
  const scale = 1 + Math.abs(slope);
  const sides = [(middle - left) / h, (right - middle) / h, (right2 - right) / h, (left - left2) / h];
  const smooth = sides.every((side) => Math.abs(side - slope) < 2e-3 * scale) && Math.abs(middle) < 1e4 && scale < 1e4;
  return smooth ? slope : undefined;
}
