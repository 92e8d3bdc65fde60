import type { Judged } from "./run.ts";

/** A program that is started under every MPI of the machine, and how one sees that it went well. */
export interface MpiProgram {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  readonly args?: readonly string[];
  readonly ranks: number;
  /** What the last line that rank 0 prints looks like. Where it prints more than one thing to count, see `laws`. */
  readonly lastLine: RegExp;
  /** The program prints `ok NAME` or `not ok NAME: WHY` of many cases, which all count. */
  readonly laws?: boolean;
  readonly seconds: number;
}

/** The whole list: add a program here, and every MPI runs it. */
export const PROGRAMS: readonly MpiProgram[] = [
  { name: "laws", file: "packages/comm-mpi/test/programs/laws.ts", ranks: 4, lastLine: /^laws: \d\d+ ran on 4 ranks$/, laws: true, seconds: 60 },
  { name: "steps", file: "packages/comm-mpi/test/programs/steps.ts", ranks: 4, lastLine: /^steps: 40 done on 4 ranks$/, seconds: 30 },
  { name: "ring", file: "examples/ring/main.ts", args: ["--seq", "203", "--heads", "2", "--kv-heads", "1", "--head-dim", "16", "--backward", "--check"], ranks: 4, lastLine: /: equal within 1e-5$/, seconds: 120 },
];

/** What `ok` and `not ok` lines say. */
export function lawsIn(output: string): Judged[] {
  return [...output.matchAll(/^(not )?ok (.+)$/gm)].map(([, not, name = ""]) => {
    if (not === undefined) return { case: name, failure: "" };
    const [law = "", ...why] = name.split(": ");
    return { case: law, failure: why.join(": ") || "no reason given" };
  });
}

/** The last line of the output that is neither empty nor the launcher's or Node's own. */
export const lastLine = (output: string): string => output.split("\n").map((line) => line.trim()).filter((line) => line !== "").at(-1) ?? "";
