import type { Case } from "./contender.ts";
import type { Result } from "./race.ts";

/** One line of `--json`: one contender on one case. What a failed contender has no number for is null. */
export interface Line {
  readonly bench: string;
  readonly case: string;
  readonly contender: string;
  /** Median milliseconds of one product or step. */
  readonly ms: number | null;
  readonly gflops: number | null;
  readonly maxError: number | null;
  readonly right: boolean;
  readonly adapter: string;
  /** Place among the right ones, from 1. */
  readonly rank: number | null;
  readonly leastMs: number | null;
  readonly firstMs: number | null;
  readonly stepsPerSecond?: number;
  readonly ceilingGflops?: number;
  readonly reason?: string;
  readonly facts?: Record<string, number>;
}

/** The lines of one raced case, in the order of its results. */
export function linesOf<Problem>(contest: Case<Problem>, results: readonly Result[], adapter: string): Line[] {
  return results.map((result, place) => ({
    bench: contest.bench,
    case: contest.name,
    contender: result.contender,
    ms: finite(result.ms),
    gflops: result.ms === undefined ? null : finite(contest.flops / result.ms / 1e6),
    maxError: finite(result.maxError),
    right: result.verdict === "right",
    adapter,
    rank: result.verdict === "right" ? place + 1 : null,
    leastMs: finite(result.leastMs),
    firstMs: finite(result.firstMs),
    ...(contest.bench === "train" && result.ms !== undefined ? { stepsPerSecond: Number((1000 / result.ms).toPrecision(6)) } : {}),
    ...(contest.ceilingGflops === undefined ? {} : { ceilingGflops: Number(contest.ceilingGflops.toPrecision(6)) }),
    ...(result.reason === undefined ? {} : { reason: result.reason }),
    ...(result.facts === undefined ? {} : { facts: result.facts }),
  }));
}

/** A table of one case for people: right ones ranked and compared with the first, the others below with their reason. */
export function table(lines: readonly Line[]): string {
  const [head] = lines;
  if (!head) return "no contender";
  const fastest = lines.find((line) => line.rank === 1)?.ms ?? NaN;
  const widest = Math.max(9, ...lines.map((line) => line.contender.length));
  const ceiling = head.ceilingGflops === undefined ? "" : `, FMA ceiling ${head.ceilingGflops.toFixed(1)} GFLOP/s`;
  const rows = lines.map((line) => {
    const place = line.rank === null ? " -" : String(line.rank).padStart(2);
    const who = `${place}  ${line.contender.padEnd(widest)}`;
    return line.ms === null ? `${who}  failed: ${line.reason ?? "no time"}` : `${who}  ${numbers(line, line.ms, fastest)}`;
  });
  const facts = lines.flatMap(({ contender, facts: found }) =>
    found ? [`    ${contender}: ${Object.entries(found).map(([name, value]) => `${name} ${plain(value)}`).join(", ")}`] : [],
  );
  return [`${head.bench} ${head.case} on ${head.adapter}${ceiling}`, ...rows, ...facts].join("\n");
}

function numbers(line: Line, ms: number, fastest: number): string {
  const times = line.right ? `×${(ms / fastest).toFixed(2)}`.padStart(7) : "      -";
  const rate = line.stepsPerSecond === undefined ? "" : `${line.stepsPerSecond.toFixed(2).padStart(8)} steps/s`;
  const error = `error ${line.maxError === null ? "NaN" : line.maxError.toExponential(1)}`;
  const verdict = line.right ? "" : `  WRONG: ${line.reason ?? ""}`;
  return `${ms.toFixed(1).padStart(9)} ms ${times} ${(line.gflops ?? NaN).toFixed(2).padStart(8)} GFLOP/s${rate}  ${error}${verdict}`;
}

function plain(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(2);
}

/** To six digits, since no timing has more; JSON has no NaN and no infinity. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}
