import { describe, expect, it } from "vitest";
import { arithmetic } from "../src/arithmetic.ts";
import { Builder } from "../src/builder.ts";
import { type Expr, type Interval, type Program, type Range, capture, evaluate, intervalEvaluator, printProgram, program, scalar, topological } from "../src/index.ts";
import type { OpName } from "../src/types.ts";
import { EVERY_OP, Random, build, randomEnv, randomTree, type Grammar } from "./random-programs.ts";

const vars = { x: "f32", y: "f32", q: "i32", kv: "i32", on: "bool" } as const;
const captures = [
  capture(Float64Array.of(0.5, -1.25, 3, 0.75, -0.1), [5], { name: "table" }),
  capture(Int32Array.of(3, -7, 2147483647, 0), [4], { name: "whole" }),
  scalar(1.5, { name: "one" }),
];
const grammar: Grammar = { vars, captures, ops: EVERY_OP };

interface Sample {
  /** Every node of the program, as a program of its own. */
  readonly made: Program;
  readonly intervals: readonly Interval[];
  /** Points in the ranges: the ends and some between. */
  readonly points: readonly Record<string, number>[];
  readonly random: Random;
}

/** Random programs with random ranges, wide and narrow, some of them at the ends of i32. */
function forSamples(seed: number, count: number, check: (sample: Sample) => void): void {
  const random = new Random(seed);
  for (let made = 0; made < count;) {
    const expr = build(new Builder(), randomTree(random, grammar, random.pick(["f32", "i32", "bool"] as const), 2 + random.below(4)));
    if (!expr) continue;
    made++;
    const nodes = program(vars, topological([expr]));
    const low = randomEnv(random, vars, true);
    const width = random.pick([0, 0.25, 1, 3, 20]);
    const high = Object.fromEntries(Object.entries(low).map(([name, least]) => [name, widened(name, least, width)]));
    const ranges = Object.fromEntries(Object.entries(low).map(([name, least]): [string, Range] => [name, [least, high[name]!]]));
    const between = (): Record<string, number> =>
      Object.fromEntries(
        Object.entries(low).map(([name, least]) => {
          const at = least + random.pick([0, 1, random.next()]) * (high[name]! - least);
          return [name, name === "x" || name === "y" ? Math.min(Math.fround(at), high[name]!) : Math.floor(at)];
        }),
      );
    check({ made: nodes, intervals: intervalEvaluator(nodes)(ranges), points: [low, high, ...Array.from({ length: 6 }, between)], random });
  }
}

function widened(name: string, least: number, width: number): number {
  if (name === "on") return width > 1 ? 1 : least;
  return name === "x" || name === "y" ? Math.fround(least + width) : Math.min(least + Math.floor(width), 2147483647);
}

function expectInside(value: number, { lo, hi, nan }: Interval, node: Expr): void {
  const inside = Number.isNaN(value) ? nan : value >= lo && value <= hi;
  if (!inside) expect.fail(`${printProgram(program(vars, [node]))} is ${value}, outside ${lo} to ${hi}${nan ? " or NaN" : ""}`);
}

describe("the interval of a random program", () => {
  it("holds every value of the oracle, overflow included", () => {
    let [decided, narrow] = [0, 0];
    forSamples(21, 2500, ({ made, intervals, points }) => {
      for (const env of points) {
        for (const [n, value] of evaluate(made, env).entries()) expectInside(value, intervals[n]!, made.outputs[n]!);
      }
      decided += intervals.filter(({ lo, hi }, n) => made.outputs[n]!.type === "bool" && lo === hi).length;
      narrow += intervals.filter(({ lo, hi }) => hi - lo < 100).length;
    });
    // The whole line would hold everything too.
    expect(decided).toBeGreaterThan(1000);
    expect(narrow).toBeGreaterThan(10_000);
  });

  it("holds every value of f32 arithmetic that is as inexact as WGSL allows", () => {
    forSamples(22, 2500, ({ made, intervals, points, random }) => {
      for (const env of points) {
        for (const [n, value] of inF32(made, env, random).entries()) expectInside(value, intervals[n]!, made.outputs[n]!);
      }
    });
  });

  it("of single integers is a single integer, where no product is too large for float64", () => {
    const integers = EVERY_OP.filter((op) => ["add", "sub", "min", "max", "neg", "abs", "sign", "idiv", "mod", "lt", "le", "eq", "and", "or", "not", "select"].includes(op));
    const random = new Random(23);
    for (let made = 0; made < 1500;) {
      const expr = build(new Builder(), randomTree(random, { vars: { q: "i32", kv: "i32" }, captures: [captures[1]!], ops: integers }, "i32", 4));
      if (!expr) continue;
      made++;
      const each = program({ q: "i32", kv: "i32" }, [expr]);
      const env = randomEnv(random, each.vars, true);
      const [value] = evaluate(each, env);
      expect(intervalEvaluator(each)(env), printProgram(each)).toEqual([{ lo: value! + 0, hi: value! + 0, nan: false }]);
    }
  });
});

const INEXACT: ReadonlySet<OpName> = new Set(["div", "exp", "exp2", "log", "log2", "sqrt", "rsqrt", "tanh", "sigmoid", "erf", "pow"]);

/** Every node in f32, each step rounded, those that WGSL leaves some room nudged by up to two units. */
function inF32({ outputs }: Program, env: Readonly<Record<string, number>>, random: Random): readonly number[] {
  const values = new Map<Expr, number>();
  for (const node of outputs) {
    const [a = 0, b = 0, c = 0] = node.args.map((arg) => values.get(arg)!);
    const { op, leaf, type } = node;
    const nudge = INEXACT.has(op as OpName) ? 1 + (random.next() - 0.5) * 4 * 2 ** -23 : 1;
    const value = op === "const" ? leaf.value! : op === "var" ? env[leaf.name!]! : op === "load" ? leaf.capture!.data[a]! : arithmetic(op, node.args[0]!.type)(a, b, c) * nudge;
    values.set(node, type === "f32" ? Math.fround(op === "tanh" || op === "erf" || op === "sigmoid" ? Math.min(1, Math.max(-1, value)) : value) : value);
  }
  return outputs.map((node) => values.get(node)!);
}
