import { expect, test } from "vitest";
import { ABIS, abiOf, HANDLES } from "../src/abi.ts";

test.each([
  ["libmpi.so.40", "Open MPI v4.1.4, package: Debian OpenMPI", "open-mpi"],
  ["libmpich.so.12", "MPICH Version: 4.0.2", "mpich"],
  ["libmpi.so.12", "Intel(R) MPI Library 2021.11 for Linux* OS", "mpich"],
  ["libmpi.so.12", "MVAPICH2 Version: 2.3.7", "mpich"],
  ["libmpi.so.12", "MPI VERSION : CRAY MPICH version 8.1.28", "mpich"],
  // Both of them say what they are, and not of which ABI.
  ["libmpi_abi.so.1", "MPICH Version: 5.0.0", "mpi-5"],
  ["libmpi_abi.so.0", "Open MPI v6.0.0", "mpi-5"],
] as const)("%s of '%s' is %s", (file, version, kind) => {
  expect(abiOf(file, version)?.kind).toBe(kind);
});

test("the folder's name says nothing", () => {
  expect(abiOf("opt/mpi_abi/lib/libmpi.so.40", "Open MPI v4.1.4")?.kind).toBe("open-mpi");
});

test("a library of neither family is none", () => {
  expect(abiOf("libmpi.so.1", "Platform MPI 9.1")).toBeUndefined();
});

test("handles fit into what each ABI passes them in, and differ", () => {
  for (const { kind, handles, handleBytes } of Object.values(ABIS)) {
    const values = HANDLES.map((name) => handles[name]);
    expect(new Set(values).size, kind).toBe(HANDLES.length);
    for (const value of values) if (handleBytes === 4) expect(value).toBeLessThan(2 ** 31);
  }
});
