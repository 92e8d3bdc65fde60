import type { Line } from "../report.ts";

const digits = (value: number): number => Number(value.toPrecision(4));

/**
 * Lines of a decoder with what they amount to: bytes of weights a second over those of each yardstick, and how many times faster
 * than the fastest native contender. Nothing where either side is missing or wrong.
 */
export function withCeilings(lines: readonly Line[]): Line[] {
  const ceilings = lines.filter(({ role, right }) => role === "yardstick" && right);
  const native = Math.min(...lines.filter(({ role, right }) => role === "native" && right).map(({ ms }) => ms ?? Infinity));
  return lines.map((line) => {
    if (line.role === "yardstick" || !line.right || line.ms === null) return line;
    const ratios: Record<string, number> = {};
    for (const { contender, gigabytesPerSecond } of ceilings) {
      if (gigabytesPerSecond !== undefined && line.gigabytesPerSecond !== undefined) ratios[`of ${contender}`] = digits(line.gigabytesPerSecond / gigabytesPerSecond);
    }
    if (line.role === "ours" && Number.isFinite(native)) ratios["times native CPU"] = digits(native / line.ms);
    return Object.keys(ratios).length === 0 ? line : { ...line, ratios };
  });
}
