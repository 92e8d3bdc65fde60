/** What became of one case: a line of `npm run conformance -- --json`. */
export interface CaseRecord {
  /** The folder's name. */
  readonly set: string;
  readonly case: string;
  /** What computed it: a kernel plugin, or the operator itself. */
  readonly kernel: string;
  /** How each hook reached the kernel; empty where there are none. */
  readonly lowering: Readonly<Record<string, string>>;
  /** Largest absolute error; null where nothing was computed. */
  readonly maxError: number | null;
  readonly pass: boolean;
  /** Why it failed or was not run; null when it passed. */
  readonly reason: string | null;
}

/** JSON has no infinity, and an error that is not a number is no small one. */
const finite = (error: number | null): number | string | null => (error === null || Number.isFinite(error) ? error : "Infinity");

export const jsonLine = (record: CaseRecord): string => JSON.stringify({ ...record, maxError: finite(record.maxError) });

/** Records as a table, a line a case, with the tally below. */
export function table(records: readonly CaseRecord[]): string {
  const width = Math.max(4, ...records.map((r) => r.case.length));
  const lines = records.map((r) => {
    const error = r.maxError === null ? "-" : r.maxError.toExponential(1);
    return `${r.pass ? "pass" : "FAIL"}  ${r.set.padEnd(13)} ${r.case.padEnd(width)} ${r.kernel.padEnd(10)} ${error.padStart(8)}  ${r.reason ?? ""}`.trimEnd();
  });
  const failed = records.filter((r) => !r.pass).length;
  return [...lines, `${records.length - failed} of ${records.length} cases pass`].join("\n");
}
