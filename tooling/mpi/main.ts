// Runs everything that needs an MPI, under each one that this machine has. Prints a line a case, and with --json FILE leaves
// one JSON line a case there, for .ci/tally.mjs.
import { appendFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { mpiLaunchers, type Launcher } from "@polyhead/comm-mpi";
import { faults, mismatch } from "./faults.ts";
import { lastLine, lawsIn, PROGRAMS, type MpiProgram } from "./programs.ts";
import { runRanks, tail, type Judged } from "./run.ts";
import { training } from "./training.ts";
import { twoHosts } from "./two-hosts.ts";

const { values } = parseArgs({ options: { json: { type: "string" }, only: { type: "string", default: "" } } });
let failed = 0;
let passed = 0;

function record(family: string, { case: name, failure }: Judged): void {
  const pass = failure === "";
  if (pass) passed++;
  else failed++;
  console.log(`${pass ? "ok" : "not ok"} ${family}: ${name}${pass ? "" : `: ${failure}`}`);
  if (values.json !== undefined) appendFileSync(values.json, `${JSON.stringify({ mpi: family, case: name, pass, ...(!pass && { reason: failure }) })}\n`);
}

async function* programs(launcher: Launcher, { name, file, args = [], ranks, lastLine: wanted, laws = false, seconds }: MpiProgram): AsyncGenerator<Judged> {
  const { code, stdout, output } = await runRanks(launcher, ranks, file, args, { seconds });
  if (laws) yield* lawsIn(stdout);
  const last = lastLine(stdout);
  const right = code === 0 && wanted.test(last);
  yield { case: `${name} on ${ranks} ranks`, failure: right ? "" : `exit code ${code}, last line '${last}', not ${wanted}; ${tail(output)}` };
}

async function under(launcher: Launcher, all: readonly Launcher[]): Promise<void> {
  const { family } = launcher;
  for (const program of PROGRAMS) for await (const judged of programs(launcher, program)) record(family, judged);
  for await (const judged of faults(launcher)) record(family, judged);
  for await (const judged of training(launcher)) record(family, judged);
  if (all.length > 1) record(family, await mismatch(launcher));
  else console.log(`skipped ${family}: a library that is not the launcher's: there is but one MPI here`);
  const hosts = await twoHosts(launcher);
  if ("skipped" in hosts) console.log(`skipped ${family}: 2 + 2 ranks on two hosts: ${hosts.skipped}`);
  else record(family, hosts);
}

const launchers = mpiLaunchers();
const chosen = launchers.filter(({ family }) => family.includes(values.only));
if (launchers.length === 0) console.log("skipped: there is no mpirun of Open MPI or MPICH here (apt install openmpi-bin mpich)");
for (const launcher of chosen) await under(launcher, launchers);
console.log(`mpi: ${passed} passed, ${failed} failed, under ${chosen.map(({ family }) => family).join(" and ") || "no MPI"}`);
process.exitCode = failed === 0 ? 0 : 1;
