import { expect, test } from "vitest";
import { loadMpi } from "../src/library.ts";
import { candidates } from "../src/search.ts";

test("the launcher's family comes first", () => {
  expect(candidates({ OMPI_COMM_WORLD_SIZE: "4" })[0]).toBe("libmpi.so.40");
  expect(candidates({ PMI_SIZE: "4" })[0]).toBe("libmpich.so.12");
  // Open MPI's launcher may itself run below a PMI.
  expect(candidates({ OMPI_COMM_WORLD_SIZE: "4", PMI_RANK: "0" })[0]).toBe("libmpi.so.40");
});

test("all families are tried, whoever is first", () => {
  for (const env of [{}, { OMPI_COMM_WORLD_SIZE: "4" }, { PMI_SIZE: "4" }]) {
    expect([...candidates(env)].sort()).toEqual(["libmpi.so.12", "libmpi.so.40", "libmpi_abi.so.0", "libmpi_abi.so.1", "libmpich.so.12"]);
  }
});

test("an active conda environment comes before the system", () => {
  const names = candidates({ CONDA_PREFIX: "env" });
  expect(names[0]).toBe("env/lib/libmpi.so.40");
  expect(names).toContain("libmpi.so.40");
});

test("POLYHEAD_MPI_LIB is the only one", () => {
  expect(candidates({ POLYHEAD_MPI_LIB: "some/libmpi.so", CONDA_PREFIX: "env", PMI_SIZE: "2" })).toEqual(["some/libmpi.so"]);
});

test("where no library loads the error names three ways to get one", async () => {
  const failure = loadMpi({ POLYHEAD_MPI_LIB: "libmpi-that-is-not-there.so" });
  await expect(failure).rejects.toMatchObject({ code: "COMM_NO_MPI" });
  await expect(failure).rejects.toThrow(
    /tried libmpi-that-is-not-there\.so \(.*\)[^]*`apt install openmpi-bin`.*`conda install -c conda-forge openmpi`.*`module load openmpi`.*POLYHEAD_MPI_LIB/,
  );
});
