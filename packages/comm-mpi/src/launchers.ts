import { spawnSync } from "node:child_process";

/** A program of this machine that starts ranks. */
export interface Launcher {
  readonly family: "open-mpi" | "mpich";
  readonly command: string;
  /** The arguments before the program to start, for so many ranks on this machine. */
  readonly args: (ranks: number) => readonly string[];
  /** What it needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Names that Debian gives them beside each other come first. */
const COMMANDS = ["mpirun.openmpi", "mpirun.mpich", "mpirun", "mpiexec.hydra"];

function launcherOf(command: string): Launcher | undefined {
  const { stdout, error } = spawnSync(command, ["--version"], { encoding: "utf8", timeout: 20_000 });
  if (error !== undefined) return undefined;
  if (/Open ?MPI|Open ?RTE|PRRTE/i.test(stdout)) {
    return {
      family: "open-mpi", command,
      // Ranks of Node have threads of their own, and may be more than there are cores.
      args: (ranks) => ["--oversubscribe", "--bind-to", "none", "-n", `${ranks}`],
      // In a container one often is root.
      env: process.getuid?.() === 0 ? { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" } : {},
    };
  }
  if (/hydra|mpich|Intel/i.test(stdout)) return { family: "mpich", command, args: (ranks) => ["-n", `${ranks}`], env: {} };
  return undefined;
}

/** The launchers that are installed here, one a family. For tests, benches and scripts; on a cluster, use the cluster's own. */
export function mpiLaunchers(): readonly Launcher[] {
  const found = new Map<Launcher["family"], Launcher>();
  for (const command of COMMANDS) {
    const launcher = launcherOf(command);
    if (launcher !== undefined && !found.has(launcher.family)) found.set(launcher.family, launcher);
  }
  return [...found.values()];
}
