/** Numbers as people read them. */
const grouped = (value: number): string => Math.round(value).toLocaleString("en");

export const count = grouped;

export function bytes(value: number): string {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (value >= size) return `${(value / size).toPrecision(4)} ${unit}`;
  }
  return `${grouped(value)} bytes`;
}

export function seconds(value: number): string {
  if (value >= 1) return `${value.toPrecision(4)} s`;
  return value >= 1e-3 ? `${(value * 1e3).toPrecision(4)} ms` : `${(value * 1e6).toPrecision(4)} µs`;
}

export const percent = (value: number): string => `${(value * 100).toFixed(1)} %`;

/** Columns of a table, the first one left-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("   ").trimEnd()).join("\n");
}
