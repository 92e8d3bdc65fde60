import type { Safetensors } from "@polyhead/core/safetensors";

/** Token ids with their sizes. */
export interface Ids {
  readonly batch: number;
  readonly tokens: number;
  readonly ids: readonly number[];
}

export function idsOf(golden: Safetensors, name: string): Ids {
  const { shape } = golden.get(name);
  const [batch = 0, tokens = 0] = shape;
  return { batch, tokens, ids: Array.from(golden.get(name).numbers()) };
}

/** Row `row` of a matrix of ids. */
export const rowOf = ({ tokens, ids }: Ids, row: number): number[] => ids.slice(row * tokens, (row + 1) * tokens);

/** Which rows count in each row of a batch, as a mask of ones tells. */
export interface Limits {
  /** First row that counts. */
  readonly starts: readonly number[];
  /** One past the last. */
  readonly ends: readonly number[];
}

/** @throws Error for a mask with holes. */
export function limitsOf(golden: Safetensors, name: string): Limits {
  const mask = idsOf(golden, name);
  const rows = Array.from({ length: mask.batch }, (_, b) => rowOf(mask, b));
  const limits = { starts: rows.map((row) => row.indexOf(1)), ends: rows.map((row) => row.lastIndexOf(1) + 1) };
  for (const [b, row] of rows.entries()) {
    if (row.some((one, at) => (one === 1) !== (at >= limits.starts[b]! && at < limits.ends[b]!))) throw new Error(`row ${b} of ${name} has a hole: only padding at either end is computed`);
  }
  return limits;
}
