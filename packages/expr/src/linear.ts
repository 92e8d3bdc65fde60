import type { Expr } from "./expr.ts";

/**
 * An i32 expression as a sum of multiples of *atoms* (variables, loads, and whatever is not linear) and a constant.
 *
 * The value equals the sum modulo 2³², whatever overflows on the way, since wrapping arithmetic is a ring. Coefficients are
 * reduced to i32 for the same reason.
 */
export interface Linear {
  readonly terms: ReadonlyMap<Expr, number>;
  readonly constant: number;
}

/** Longer sums are atoms: an interval of so few terms is exact in float64. */
const MOST_TERMS = 8;

/** The linear form of every i32 node it is asked for; shared nodes are looked at once. */
export function linearForms(): (node: Expr) => Linear {
  const known = new Map<Expr, Linear>();
  const form = (node: Expr): Linear => {
    let found = known.get(node);
    if (found === undefined) {
      const made = combine(node, form);
      known.set(node, (found = made && made.terms.size <= MOST_TERMS ? made : atom(node)));
    }
    return found;
  };
  return form;
}

/** Whether a form is the node by itself, nothing taken apart. */
export function isAtom({ terms }: Linear, node: Expr): boolean {
  return terms.has(node);
}

function combine(node: Expr, form: (node: Expr) => Linear): Linear | undefined {
  const [a, b] = node.args as [Expr, Expr];
  switch (node.op) {
    case "const":
      return constantForm(node.leaf.value ?? 0);
    case "add":
      return plus(form(a), form(b), 1);
    case "sub":
      return plus(form(a), form(b), -1);
    case "neg":
      return plus(constantForm(0), form(a), -1);
    case "mul": {
      const [left, right] = [form(a), form(b)];
      const [factor, other] = left.terms.size === 0 ? [left, right] : [right, left];
      return factor.terms.size === 0 ? plus(constantForm(0), other, factor.constant) : undefined;
    }
    default:
      return undefined;
  }
}

/** A number by itself. */
export function constantForm(constant: number): Linear {
  return { terms: new Map(), constant };
}

function atom(node: Expr): Linear {
  return { terms: new Map([[node, 1]]), constant: 0 };
}

function plus(a: Linear, b: Linear, factor: number): Linear {
  return merged(a, b, (x, y) => (x + Math.imul(y, factor)) | 0);
}

/** `a + b` in whole numbers, nothing reduced: for sums that are known not to overflow. */
export function exactSum(a: Linear, b: Linear): Linear {
  return merged(a, b, (x, y) => x + y);
}

/** `a − b` in whole numbers. */
export function exactDifference(a: Linear, b: Linear): Linear {
  return merged(a, b, (x, y) => x - y);
}

function merged(a: Linear, b: Linear, combine: (x: number, y: number) => number): Linear {
  const terms = new Map(a.terms);
  for (const [node, coefficient] of b.terms) {
    const total = combine(terms.get(node) ?? 0, coefficient);
    if (total === 0) terms.delete(node);
    else terms.set(node, total);
  }
  return { terms, constant: combine(a.constant, b.constant) };
}
