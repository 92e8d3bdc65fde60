import { PolyheadError } from "@polyhead/core";
import { LIBRARY_VARIABLE } from "./search.ts";

export const INSTALL: string =
  "install one with `apt install openmpi-bin` (Debian, Ubuntu), `conda install -c conda-forge openmpi` (conda) or " +
  `\`module load openmpi\` (clusters), or name its library in ${LIBRARY_VARIABLE}`;

/** `COMM_NO_MPI`: no library loads. `tried` holds what the dynamic loader said of each. */
export const noMpiError = (tried: readonly string[]): PolyheadError =>
  new PolyheadError("COMM_NO_MPI", `no MPI library loads on ${process.platform}-${process.arch}; tried ${tried.join("; ")}`, INSTALL);

/** `COMM_NO_MPI`: a library loads, but what it is nobody knows. */
export const unknownMpiError = (file: string, version: string): PolyheadError =>
  new PolyheadError("COMM_NO_MPI", `${file} says that it is '${version}', which is neither Open MPI nor of the MPICH family`,
    `name a library of one of them, or one of the MPI-5 ABI (libmpi_abi.so), in ${LIBRARY_VARIABLE}`);

/** What is known of the library loaded, as messages name it. */
export interface Loaded {
  readonly file: string;
  readonly version: string;
}

/** `COMM_LAUNCHER`: the launcher started several ranks, and the library knows of one. */
export const launcherError = ({ file, version }: Loaded, variable: string, expected: number): PolyheadError =>
  new PolyheadError("COMM_LAUNCHER",
    `the launcher started ${expected} ranks (${variable}), but the MPI library ${file} (${version}) knows of 1: it is not this launcher's`,
    `start the program with the launcher of that library, or name the launcher's own library in ${LIBRARY_VARIABLE}, such as ` +
    `${LIBRARY_VARIABLE}=libmpi.so.40 for Open MPI's mpirun and ${LIBRARY_VARIABLE}=libmpich.so.12 for MPICH's`);

/** `COMM_LOST`: the job is ended from outside, or a call of MPI failed; which rank it was is not told. */
export const endedError = (rank: number, reason: string): PolyheadError =>
  new PolyheadError("COMM_LOST", `rank ${rank}: ${reason}`, "look at the output of the other ranks and of the launcher, then start the job again, from the last checkpoint if there is one");
