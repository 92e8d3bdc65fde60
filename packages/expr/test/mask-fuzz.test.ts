import { describe, expect, it } from "vitest";
import { Builder } from "../src/builder.ts";
import { type Expr, type NumberExpr, type Program, affineConjuncts, capture, checkIndices, evaluate, evaluator, intervalEvaluator, printProgram, program, truthOf } from "../src/index.ts";
import type { OpName } from "../src/types.ts";
import { Random, build, randomTree, type Grammar } from "./random-programs.ts";

const vars = { q: "i32", kv: "i32" } as const;
const logic: readonly OpName[] = ["add", "sub", "neg", "min", "max", "abs", "lt", "le", "eq", "and", "or", "not"];
const SIZE = 12;

/** Random conditions, or numbers, of q and kv. */
function randomExpr(random: Random, grammar: Grammar, type: "bool" | "i32", depth: number): Expr {
  for (;;) {
    const made = build(new Builder(), randomTree(random, grammar, type, depth));
    if (made && made.op !== "const") return made;
  }
}

/** A comparison of small sums, or its opposite. */
function randomComparison(random: Random): Expr<"bool"> {
  const side = (): NumberExpr => randomExpr(random, { vars, captures: [], ops: ["add", "sub", "neg", "min", "max", "abs"] }, "i32", random.below(3)) as NumberExpr;
  const [a, b] = [side(), side()];
  const made = [a.le(b), a.lt(b), a.eq(b)][random.below(3)]!;
  return random.next() < 0.3 ? made.not() : made;
}

describe("a random mask", () => {
  it("is its bounds on keys and their rest, cell by cell", () => {
    const random = new Random(31);
    let taken = 0;
    for (let n = 0; n < 800; n++) {
      const mask = program(vars, [Array.from({ length: 3 }, () => randomComparison(random)).reduce((all, one) => all.and(one))]);
      const { lower, upper, rest } = affineConjuncts(mask);
      if (lower.length + upper.length === 0) continue;
      taken++;
      const [whole, residue] = [evaluator(mask), rest && evaluator(rest)];
      for (const q of [0, 1, 2, 5, 9, 2 ** 30 - 1]) {
        for (const kv of [0, 1, 2, 3, 6, 8, 11, 65535, 65537, 2 ** 30 - 2, 2 ** 30 - 1]) {
          const kept = lower.every((bound) => kv >= q * bound.q + bound.offset) && upper.every((bound) => kv <= q * bound.q + bound.offset);
          const allowed = kept && (!residue || residue({ q, kv })[0] === 1);
          if (Number(allowed) !== whole({ q, kv })[0]) expect.fail(`${printProgram(mask)} at q ${q} kv ${kv}`);
        }
      }
    }
    expect(taken).toBeGreaterThan(150);
  });

  it("has no block called full or empty that is not", () => {
    const random = new Random(32);
    const table = capture(Int32Array.from({ length: SIZE }, () => random.below(4)), [SIZE], { name: "table" });
    const grammar = { vars, captures: [table], ops: [...logic, "idiv", "mod", "select", "mul"] as const };
    let decided = 0;
    for (let n = 0; n < 1200; n++) {
      const mask = program(vars, [randomExpr(random, grammar, "bool", 4)]);
      const [run, cell] = [intervalEvaluator(mask), evaluator(mask)];
      const [q0, kv0, queries, keys] = [random.below(9), random.below(9), 1 + random.below(3), 1 + random.below(3)];
      const verdict = truthOf(run({ q: [q0, q0 + queries - 1], kv: [kv0, kv0 + keys - 1] })[0]!);
      if (verdict === "either") continue;
      decided++;
      for (let q = q0; q < q0 + queries; q++) for (let kv = kv0; kv < kv0 + keys; kv++) expect(cell({ q, kv }), printProgram(mask)).toEqual([Number(verdict)]);
    }
    expect(decided).toBeGreaterThan(500);
  });
});

describe("an index behind a random guard", () => {
  it("that is found inside never leaves its table, and one found outside does where it says", () => {
    const random = new Random(33);
    const table = capture(Int32Array.from({ length: 8 }, (_, i) => i), [8], { name: "table" });
    const seen = { inside: 0, unproven: 0, outside: 0 };
    for (let n = 0; n < 600; n++) {
      const index = randomExpr(random, { vars, captures: [], ops: ["add", "sub", "neg", "min", "max", "abs"] }, "i32", 2);
      const guard = randomExpr(random, { vars, captures: [], ops: logic }, "bool", 3) as Expr<"bool">;
      const read = table.at(index as Expr<"i32">);
      const made: Program = program(vars, [random.next() < 0.5 ? guard.where(read, 0) : guard.and(read.gt(3))]);
      const [found] = checkIndices(made, { q: [0, 7], kv: [0, 9] });
      if (!found) continue;
      seen[found.verdict]++;
      if (found.at) expect(() => evaluate(made, found.at!), printProgram(made)).toThrow("[EXPR_BOUNDS]");
      if (found.verdict !== "inside") continue;
      for (let q = 0; q <= 7; q++) for (let kv = 0; kv <= 9; kv++) if (leaves(made, { q, kv })) expect.fail(printProgram(made));
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(25);
  });
});

function leaves(made: Program, env: Readonly<Record<string, number>>): boolean {
  try {
    evaluate(made, env);
    return false;
  } catch {
    return true;
  }
}
