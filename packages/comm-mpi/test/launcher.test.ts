import { expect, test } from "vitest";
import { checkCount } from "../src/communicator.ts";
import { checkLauncher, underLauncher } from "../src/launcher.ts";

const loaded = { file: "libmpich.so.12", version: "MPICH Version: 4.0.2" };

test.each(["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"])("a world of one is refused where %s says more", (variable) => {
  expect(() => checkLauncher(1, loaded, { [variable]: "4" })).toThrow(expect.objectContaining({ code: "COMM_LAUNCHER" }));
  expect(() => checkLauncher(1, loaded, { [variable]: "4" })).toThrow(/started 4 ranks.*libmpich\.so\.12 \(MPICH Version: 4\.0\.2\) knows of 1[^]*POLYHEAD_MPI_LIB/);
  expect(() => checkLauncher(4, loaded, { [variable]: "4" })).not.toThrow();
  expect(() => checkLauncher(1, loaded, { [variable]: "1" })).not.toThrow();
});

test("a world of one is right where there is no launcher", () => {
  expect(() => checkLauncher(1, loaded, {})).not.toThrow();
});

test("a process knows whether a launcher has started it", () => {
  expect(underLauncher({})).toBe(false);
  expect(underLauncher({ PMI_SIZE: "" })).toBe(false);
  expect(underLauncher({ PMI_SIZE: "1" })).toBe(true);
  expect(underLauncher({ OMPI_COMM_WORLD_SIZE: "4" })).toBe(true);
});

test("what MPI cannot count is refused", () => {
  expect(() => checkCount(0, "a message with a number of bytes", 2 ** 31 - 1)).not.toThrow();
  expect(() => checkCount(3, "a message with a number of bytes", 2 ** 31)).toThrow(expect.objectContaining({ code: "COMM_ARGUMENT" }));
  expect(() => checkCount(3, "a message with a number of bytes", 2 ** 31)).toThrow(/rank 3: .* 2147483648\b[^]*in parts/);
});
