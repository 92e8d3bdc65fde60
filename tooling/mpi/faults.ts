import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Launcher } from "@polyhead/comm-mpi";
import { runRanks, tail, type Judged } from "./run.ts";

const STEPS = "packages/comm-mpi/test/programs/steps.ts";
const RANKS = 4;
const WITHIN_MS = 10_000;

/** What rank 1 does in mid-step, and what must be seen of the others. */
export interface Fault {
  readonly name: string;
  readonly what: string;
  /** Must match what the job prints. */
  readonly says: readonly RegExp[];
  /** The time limit of the program, which comes before the ten seconds. */
  readonly limitMs: number;
}

const named = [/\[COMM_TIMEOUT\] rank \d waited 1500 ms for: .*\b(to|from) rank 1\b/, /\bof 1048576 bytes, tag 7\b/];

const FAULTS: readonly Fault[] = [
  { name: "kill", what: "a rank killed in mid-step ends the job on every rank with a typed error", says: [], limitMs: 0 },
  { name: "stop", what: "a rank that the system has stopped is named after the time limit", says: named, limitMs: 1500 },
  { name: "stall", what: "a rank that does not do its part is named after the time limit", says: named, limitMs: 1500 },
  { name: "throw", what: "a rank that throws says why, with its stack, on every rank", says: [/it threw: the loss of rank 1 is not a number/, /Error: the loss of rank 1[^\n]*\n\s+at .*steps\.ts/], limitMs: 0 },
  { name: "leave", what: "a rank that leaves without close() ends the job, though its exit code is 0", says: [/it left without close\(\), exit code 0/], limitMs: 0 },
  { name: "abort", what: "an abort is seen on every rank, with its reason", says: [/\[COMM_ABORTED\] rank 0: rank 1 ended the job: rank 1 has seen enough/], limitMs: 0 },
];

/** What is wrong with how a job ended. */
export function failureOf(fault: Fault, code: number, output: string, endedAt: number): string {
  const began = Number(new RegExp(`^rank 1: ${fault.name} at (\\d+)`, "m").exec(output)?.[1] ?? Number.NaN);
  const silent = [0, 2, 3].filter((rank) => !new RegExp(`\\[COMM_(LOST|ABORTED|TIMEOUT)\\] rank ${rank}\\b`).test(output));
  const unsaid = fault.says.filter((pattern) => !pattern.test(output)).map(String);
  const took = endedAt - began;
  if (Number.isNaN(began)) return "rank 1 never came to its fault";
  if (code === 0) return "the launcher's exit code is 0";
  if (silent.length > 0) return `no typed error from rank ${silent.join(", ")}`;
  if (unsaid.length > 0) return `nothing matches ${unsaid.join(", ")}`;
  return took > WITHIN_MS + fault.limitMs ? `it took ${took} ms` : "";
}

async function judge(launcher: Launcher, fault: Fault): Promise<Judged> {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-mpi-"));
  try {
    const { code, output, endedAt } = await runRanks(launcher, RANKS, STEPS, [fault.name, folder], { seconds: 40 });
    // Open MPI's launcher now and then drops the last lines of a rank that it ends: what the rank caught is in the folder, too.
    const caught = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
    const failure = failureOf(fault, code, [output, ...caught].join("\n"), endedAt);
    return { case: fault.what, failure: failure === "" ? "" : `${failure}; exit code ${code}; ${tail(output)}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function* faults(launcher: Launcher): AsyncGenerator<Judged> {
  for (const fault of FAULTS) yield await judge(launcher, fault);
}

/** A library of the other family under this launcher. */
export async function mismatch(launcher: Launcher): Promise<Judged> {
  const library = launcher.family === "open-mpi" ? "libmpich.so.12" : "libmpi.so.40";
  const { code, output } = await runRanks(launcher, 2, STEPS, [], { env: { POLYHEAD_MPI_LIB: library }, seconds: 40 });
  const told = output.includes("[COMM_LAUNCHER] the launcher started 2 ranks") && output.includes(`the MPI library ${library}`) && output.includes("POLYHEAD_MPI_LIB=");
  return { case: "a library that is not the launcher's is named", failure: code !== 0 && told ? "" : `exit code ${code}; ${tail(output)}` };
}
