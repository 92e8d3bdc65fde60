import { launcherError, type Loaded } from "./errors.ts";
import type { Environment } from "./search.ts";

/** Where launchers say how many ranks they started: Open MPI, the MPICH family, Slurm's steps. */
const SIZES = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] as const;

/** True in a process that a launcher of MPI started as one of several ranks, or as the only one. */
export const underLauncher = (env: Environment = process.env): boolean => SIZES.some((name) => Number(env[name]) >= 1);

/**
 * A library that is not the launcher's finds no one to talk to, and makes a world of one rank of each process.
 *
 * @throws PolyheadError `COMM_LAUNCHER`.
 */
export function checkLauncher(size: number, loaded: Loaded, env: Environment): void {
  const variable = SIZES.find((name) => (env[name] ?? "") !== "");
  if (variable === undefined || size !== 1) return;
  const expected = Number(env[variable]);
  if (expected > 1) throw launcherError(loaded, variable, expected);
}
