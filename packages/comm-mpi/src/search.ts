import { join } from "node:path";
import type { AbiKind } from "./abi.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names the library to load: a file, or a name that the dynamic loader finds. */
export const LIBRARY_VARIABLE = "POLYHEAD_MPI_LIB";

const NAMES: Readonly<Record<AbiKind, readonly string[]>> = {
  "open-mpi": ["libmpi.so.40"],
  // Debian's MPICH has a name of its own, all others share one.
  mpich: ["libmpich.so.12", "libmpi.so.12"],
  "mpi-5": ["libmpi_abi.so.1", "libmpi_abi.so.0"],
};

const set = (env: Environment, ...names: readonly string[]): boolean => names.some((name) => (env[name] ?? "") !== "");

/**
 * Families in the order in which they are tried: the launcher's first, since a rank with another library than its launcher's
 * finds itself alone.
 */
export function families(env: Environment): readonly AbiKind[] {
  if (set(env, "OMPI_COMM_WORLD_SIZE")) return ["open-mpi", "mpi-5", "mpich"];
  if (set(env, "PMI_SIZE", "PMI_RANK", "PMI_FD", "HYDI_CONTROL_FD")) return ["mpich", "mpi-5", "open-mpi"];
  return ["open-mpi", "mpich", "mpi-5"];
}

/**
 * What to hand to the dynamic loader, in order. The loader looks where `LD_LIBRARY_PATH`, and so `module load`, says; an active
 * conda environment's folder is known from `CONDA_PREFIX` alone.
 */
export function candidates(env: Environment): readonly string[] {
  const asked = env[LIBRARY_VARIABLE] ?? "";
  if (asked !== "") return [asked];
  const conda = env["CONDA_PREFIX"] ?? "";
  const names = families(env).flatMap((family) => NAMES[family]);
  return conda === "" ? names : [...names.map((name) => join(conda, "lib", name)), ...names];
}
