import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { mpiLaunchers } from "../src/index.ts";

const SOURCES = ["--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning"];
const program = (name: string): string => fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url));

function run(command: string, args: readonly string[], env: Readonly<Partial<Record<string, string>>>): { readonly code: number | null; readonly stdout: string; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env }, timeout: 60_000 });
  return { code: status, stdout, output: stdout + stderr };
}

const launchers = mpiLaunchers();
if (launchers.length === 0) {
  console.error("comm-mpi: no mpirun of Open MPI or MPICH here (apt install openmpi-bin mpich): nothing is run under one");
}

describe.skipIf(launchers.length === 0)("under a launcher", () => {
  test.each(launchers.map((launcher) => [launcher.family, launcher] as const))("three ranks of %s keep the laws of communicators", (_, { command, args, env }) => {
    const { code, stdout, output } = run(command, [...args(3), process.execPath, ...SOURCES, program("laws")], env);
    expect(output).not.toMatch(/^not ok/m);
    expect(stdout.trim().split("\n").at(-1)).toMatch(/^laws: \d\d+ ran on 3 ranks$/);
    expect(code).toBe(0);
  });

  test.each(launchers.map(({ family }) => family))("a process that no launcher of %s has started is a world of one", (family) => {
    // With two beside each other, as on Debian, one is asked for by the name that it has there.
    const asked = { POLYHEAD_MPI_LIB: family === "open-mpi" ? "libmpi.so.40" : "libmpich.so.12" };
    const env = launchers.length === 1 ? {} : asked;
    const { code, output } = run(process.execPath, [...SOURCES, program("laws")], env);
    expect(output).toMatch(/laws: \d+ ran on 1 ranks/);
    expect(output).not.toMatch(/^not ok/m);
    expect(code).toBe(0);
  });
});
