import { Builder } from "./builder.ts";
import type { Expr } from "./expr.ts";
import { topological } from "./program.ts";

type Condition = Expr<"bool">;

/**
 * For each node the condition under which the oracle evaluates it: a choice looks at one branch, `&&` and `||` at their
 * second operand only when the first leaves it open.
 */
export function reachedWhen(outputs: readonly Expr[]): ReadonlyMap<Expr, Condition> {
  const always = Builder.of(outputs).constant(true) as Condition;
  const when = new Map<Expr, Condition>(outputs.map((output) => [output, always]));
  for (const node of [...topological(outputs)].reverse()) {
    const own = when.get(node) ?? always;
    for (const [n, arg] of node.args.entries()) {
      const here = edge(node, n, own);
      const elsewhere = when.get(arg);
      when.set(arg, elsewhere ? elsewhere.or(here) : here);
    }
  }
  return when;
}

/** When a node that is evaluated under `own` evaluates its n-th operand. */
function edge({ op, args }: Expr, n: number, own: Condition): Condition {
  const first = args[0] as Condition;
  if (n === 0) return own;
  if (op === "and") return own.and(first);
  if (op === "or") return own.and(first.not());
  if (op === "select") return own.and(n === 1 ? first : first.not());
  return own;
}
