import type { Facts } from "../contender.ts";
import type { Line } from "../report.ts";
import type { AttentionShape } from "./attention-problem.ts";

/** What a case asked, and what came of it. */
export interface Raced {
  readonly shape: AttentionShape;
  readonly lines: readonly Line[];
}

/**
 * The lines of cases that raced together, our own with what they amount to beside the others:
 *
 * - `of matmul`: GFLOP/s over those of our matmul yardstick
 * - `times best peer`: how many times faster than the fastest GPU peer that is right, and `best peer` who that is
 * - `of native CPU`: time over that of the fastest native contender; below 1 we are faster
 * - `of full`: time of a causal case over that of the full one of equal size
 * - `of forward`: time of forward and backward over that of forward
 * - `of copy by …`: bytes of k and v a second over what that copy reads and writes a second
 *
 * A ratio is left out where either side is missing or wrong.
 */
export function withRatios(raced: readonly Raced[]): Line[][] {
  return raced.map(({ shape, lines }) => {
    const peer = best(lines, "peer");
    const native = best(lines, "native");
    const matmul = lines.find(({ role, right, gflops }) => role === "yardstick" && right && gflops !== null);
    const copies = lines.filter(({ role, right, gigabytesPerSecond }) => role === "yardstick" && right && gigabytesPerSecond !== undefined);
    const like = (wanted: Partial<AttentionShape>, contender: string): Line | undefined =>
      raced.find((other) => sameShape(other.shape, { ...shape, ...wanted }))?.lines.find((line) => line.contender === contender && line.right);
    return lines.map((line) => {
      if (line.role !== "ours" || !line.right || line.ms === null) return line;
      const full = shape.causal ? like({ causal: false }, line.contender) : undefined;
      const forward = shape.kind === "backward" ? like({ kind: "forward" }, line.contender) : undefined;
      const ratios = present({
        "of matmul": over(line.gflops, matmul?.gflops),
        "times best peer": over(peer?.ms, line.ms),
        "best peer": peer?.contender,
        "of native CPU": over(line.ms, native?.ms),
        "of full": over(line.ms, full?.ms),
        "of forward": over(line.ms, forward?.ms),
        ...Object.fromEntries(copies.map((copy) => [`of ${copy.contender}`, over(line.gigabytesPerSecond, copy.gigabytesPerSecond)])),
      });
      return Object.keys(ratios).length === 0 ? line : { ...line, ratios };
    });
  });
}

const best = (lines: readonly Line[], role: Line["role"]): Line | undefined =>
  lines.filter((line) => line.role === role && line.right && line.ms !== null).sort((a, b) => a.ms! - b.ms!)[0];

function over(value: number | null | undefined, by: number | null | undefined): number | undefined {
  const ratio = (value ?? NaN) / (by ?? NaN);
  return Number.isFinite(ratio) ? Number(ratio.toPrecision(4)) : undefined;
}

const present = (found: Record<string, number | string | undefined>): Facts =>
  Object.fromEntries(Object.entries(found).filter((entry): entry is [string, number | string] => entry[1] !== undefined));

const sameShape = (a: AttentionShape, b: AttentionShape): boolean =>
  (["kind", "causal", "heads", "kvHeads", "headDim", "queries", "keys"] as const).every((key) => a[key] === b[key]);
