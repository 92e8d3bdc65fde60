import { compare, report, type Rule } from "@polyhead/testkit";

/** What became of a case: the largest error, and why it failed. */
export interface Verdict {
  readonly maxError: number | null;
  readonly reason: string | null;
}

/** One tensor of a case. */
export interface Held {
  readonly name: string;
  readonly got: ArrayLike<number>;
  readonly want: ArrayLike<number>;
  readonly shape: readonly number[];
}

/** All tensors of a case by one rule: the worst error counts, the first failure is told. */
export function judge(tensors: readonly Held[], rule: Rule): Verdict {
  let maxError = 0;
  let reason: string | null = null;
  for (const { name, got, want, shape } of tensors) {
    const found = compare(got, want, rule);
    maxError = Math.max(maxError, found.maxError);
    if (!found.pass) reason ??= `${name}: ${report(found, want.length, shape)}`;
  }
  return { maxError, reason };
}

export const failure = (reason: string): Verdict => ({ maxError: null, reason });
