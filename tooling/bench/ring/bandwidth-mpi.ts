// How much of the engine's own bandwidth gets through `@polyhead/comm-mpi`: C and TypeScript take turns under the same
// launcher. `node … tooling/bench/ring/bandwidth-mpi.ts [--rounds N]` prints a table.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { mpiLaunchers, type Launcher } from "@polyhead/comm-mpi";

/** One message size, or a reduction, under one MPI. */
export interface MpiBandwidth {
  readonly mpi: Launcher["family"];
  readonly case: "one way" | "allReduce";
  readonly bytes: number;
  /** GB/s of the C program; undefined where there is no compiler for it. */
  readonly engine: number | undefined;
  readonly ours: number;
}

interface Timing {
  readonly case: MpiBandwidth["case"];
  readonly bytes: number;
  /** The median of a run. */
  readonly seconds: number;
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const OURS = [process.execPath, "--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning", here("pingpong-rank.ts")];

function isOf(compiler: string, family: Launcher["family"]): boolean {
  const { status, stdout } = spawnSync(compiler, ["-show"], { encoding: "utf8" });
  return status === 0 && stdout.includes(family === "open-mpi" ? "openmpi" : "mpich");
}

/** The engine's own program, compiled into `folder`; undefined without a compiler of this MPI. */
function compile({ family }: Launcher, folder: string): readonly string[] | undefined {
  const program = join(folder, family);
  for (const compiler of [family === "open-mpi" ? "mpicc.openmpi" : "mpicc.mpich", "mpicc"]) {
    // A plain mpicc may be the other family's.
    if (compiler === "mpicc" && !isOf(compiler, family)) continue;
    if (spawnSync(compiler, ["-O2", here("pingpong.c"), "-o", program]).status === 0) return [program];
  }
  return undefined;
}

function timings({ command, args, env }: Launcher, program: readonly string[]): Timing[] {
  const { status, stdout, stderr } = spawnSync(command, [...args(2), ...program], { encoding: "utf8", env: { ...process.env, ...env }, timeout: 120_000 });
  if (status !== 0) throw new Error(`${command} ${program.join(" ")} ended with ${status}: ${stderr.trim()}`);
  return stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Timing);
}

/** By case and size: the fastest of the runs' medians, since other programs only ever slow one down. */
function best(runs: readonly Timing[][]): Timing[] {
  return runs[0]!.map((first, i) => runs.map((run) => run[i]!).reduce((a, b) => (a.seconds <= b.seconds ? a : b), first));
}

/**
 * One-way bandwidth of messages between two ranks on this machine, and of the reduction of 25 MB, in GB/s. Empty without an
 * MPI. C and ours alternate `rounds` times.
 *
 * @throws Error when a launcher does not run a program.
 */
export function mpiBandwidth(rounds = 3): MpiBandwidth[] {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-pingpong-"));
  try {
    return mpiLaunchers().flatMap((launcher) => {
      const engine = compile(launcher, folder);
      const engineRuns: Timing[][] = [];
      const ourRuns: Timing[][] = [];
      for (let round = 0; round < rounds; round++) {
        if (engine !== undefined) engineRuns.push(timings(launcher, engine));
        ourRuns.push(timings(launcher, OURS));
      }
      const theirs = engine === undefined ? undefined : best(engineRuns);
      return best(ourRuns).map(({ case: name, bytes, seconds }, i): MpiBandwidth => ({
        mpi: launcher.family, case: name, bytes,
        engine: theirs === undefined ? undefined : bytes / theirs[i]!.seconds / 1e9,
        ours: bytes / seconds / 1e9,
      }));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function table(rows: readonly MpiBandwidth[]): string {
  const cells = rows.map((row) => [
    row.mpi, row.case, `${row.bytes}`, row.engine?.toFixed(3) ?? "no mpicc", row.ours.toFixed(3),
    row.engine === undefined ? "" : `${Math.round((100 * row.ours) / row.engine)} %`,
  ]);
  return [["MPI", "case", "bytes", "C GB/s", "ours GB/s", "ratio"], ...cells].map((line) => line.map((cell) => cell.padEnd(11)).join("").trimEnd()).join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" } } });
  const rows = mpiBandwidth(Number(values.rounds));
  console.log(rows.length === 0 ? "no mpirun of Open MPI or MPICH here (apt install openmpi-bin mpich; libopenmpi-dev libmpich-dev for the C program)" : table(rows));
}
