import { parseArgs } from "node:util";

const benches = ["matmul", "train"] as const;
export type Bench = (typeof benches)[number];

export interface Args {
  readonly benches: readonly Bench[];
  readonly json: boolean;
  readonly reps: number;
  readonly only: readonly string[];
  readonly quick: boolean;
  readonly capSeconds: number;
  readonly help: boolean;
}

export function usage(): string {
  return `npm run bench -- [${benches.join("] [")}] [options]
  --json        one JSON line a contender and case
  --reps N      timed repetitions (default 7)
  --quick       three repetitions, and the smallest matmul alone
  --only a,b    contenders whose name contains a or b
  --cap N       seconds that a contender may take to get ready (default 300)`;
}

/** @throws Error that names the argument at fault. */
export function readArgs(argv: readonly string[]): Args {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      reps: { type: "string" },
      only: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      cap: { type: "string", default: "300" },
      help: { type: "boolean", default: false },
    },
  });
  const named = positionals.map((name) => {
    const bench = benches.find((known) => known === name);
    if (!bench) throw new Error(`unknown bench '${name}'; there are: ${benches.join(", ")}`);
    return bench;
  });
  return {
    benches: named.length > 0 ? named : benches,
    json: values.json,
    reps: positive("--reps", values.reps ?? (values.quick ? "3" : "7")),
    only: values.only.split(",").filter((part) => part !== ""),
    quick: values.quick,
    capSeconds: positive("--cap", values.cap),
    help: values.help,
  };
}

/** Those whose name contains one of `parts`; all for none. */
export function chosen<T extends { readonly name: string }>(contenders: readonly T[], parts: readonly string[]): T[] {
  return contenders.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} wants a whole number from 1, got '${text}'`);
  return value;
}
