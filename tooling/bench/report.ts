import type { Case, Facts, Role } from "./contender.ts";
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
  readonly role: Role;
  /** Place among the right ones, from 1. */
  readonly rank: number | null;
  readonly leastMs: number | null;
  readonly firstMs: number | null;
  readonly stepsPerSecond?: number;
  /** decode: a token is what `ms` is for. */
  readonly tokensPerSecond?: number;
  /** Main-thread time to send a token's work. */
  readonly jsMicroseconds?: number;
  /** Of the cache. */
  readonly bytes?: number;
  readonly ceilingGflops?: number;
  /** Set where peers were made to wait as we do; see `--wait-alike`. */
  readonly waitAlike?: true;
  /** Bytes that the case has to move, a second, in units of 10⁹. */
  readonly gigabytesPerSecond?: number;
  readonly reason?: string;
  readonly facts?: Facts;
  /** Comparisons with other lines of the same run. */
  readonly ratios?: Facts;
}

/** The lines of one raced case, in the order of its results. */
export function linesOf<Problem>(contest: Case<Problem>, results: readonly Result[], adapter: string): Line[] {
  return results.map((result, place) => {
    const { ms, role, verdict } = result;
    const flops = result.flops ?? contest.flops;
    const bytes = result.bytes ?? result.decoding?.weightBytes ?? contest.bytes ?? 0;
    return {
      bench: contest.bench,
      case: contest.name,
      contender: result.contender,
      ms: finite(ms),
      gflops: ms === undefined || flops === 0 ? null : finite(flops / ms / 1e6),
      maxError: finite(result.maxError),
      right: verdict === "right",
      adapter,
      role,
      rank: verdict === "right" && role !== "yardstick" ? place + 1 : null,
      leastMs: finite(result.leastMs),
      firstMs: finite(result.firstMs),
      ...(contest.bench === "train" && ms !== undefined ? { stepsPerSecond: sixDigits(1000 / ms) } : {}),
      ...(contest.bench === "decode" && ms !== undefined && role !== "yardstick" ? { tokensPerSecond: sixDigits(1000 / ms) } : {}),
      ...(result.decoding?.jsMicroseconds === undefined ? {} : { jsMicroseconds: sixDigits(result.decoding.jsMicroseconds) }),
      ...(result.decoding?.bytes === undefined ? {} : { bytes: result.decoding.bytes }),
      ...(contest.ceilingGflops === undefined ? {} : { ceilingGflops: sixDigits(contest.ceilingGflops) }),
      ...(bytes === 0 || ms === undefined ? {} : { gigabytesPerSecond: sixDigits(bytes / ms / 1e6) }),
      ...(result.reason === undefined ? {} : { reason: result.reason }),
      ...(result.facts === undefined ? {} : { facts: result.facts }),
    };
  });
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
  const facts = lines.flatMap(({ contender, facts: found, ratios }) =>
    [found, ratios].flatMap((some) => (some ? [`    ${contender}: ${Object.entries(some).map(([name, value]) => `${name} ${plain(value)}`).join(", ")}`] : [])),
  );
  const alike = head.waitAlike === true ? ", all waiting alike" : "";
  return [`${head.bench} ${head.case} on ${head.adapter}${ceiling}${alike}`, ...rows, ...facts].join("\n");
}

function numbers(line: Line, ms: number, fastest: number): string {
  const times = line.rank === null ? "      -" : `×${(ms / fastest).toFixed(2)}`.padStart(7);
  const steps = line.stepsPerSecond === undefined ? "" : `${line.stepsPerSecond.toFixed(2).padStart(8)} steps/s`;
  const tokens = line.tokensPerSecond === undefined ? "" : `${line.tokensPerSecond.toFixed(2).padStart(8)} tokens/s`;
  const js = line.jsMicroseconds === undefined ? "" : `${line.jsMicroseconds.toFixed(0).padStart(7)} µs of JS`;
  const cache = line.bytes === undefined ? "" : `  cache ${line.bytes.toLocaleString("en")} bytes`;
  const rate = `${steps}${tokens}${js}${cache}`;
  const error = `error ${line.maxError === null ? "NaN" : line.maxError.toExponential(1)}`;
  const verdict = line.right ? "" : `  WRONG: ${line.reason ?? ""}`;
  const flops = line.gflops === null ? " ".repeat(16) : `${line.gflops.toFixed(2).padStart(8)} GFLOP/s`;
  const bytes = line.gigabytesPerSecond === undefined ? "" : `${line.gigabytesPerSecond.toFixed(2).padStart(8)} GB/s`;
  return `${ms.toFixed(ms < 10 ? 3 : 1).padStart(9)} ms ${times} ${flops}${bytes}${rate}  ${error}${verdict}`;
}

function plain(value: number | string): string {
  if (typeof value === "string") return value;
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(2);
}

/** No timing has more. */
const sixDigits = (value: number): number => Number(value.toPrecision(6));

/** JSON has no NaN and no infinity. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? sixDigits(value) : null;
}
