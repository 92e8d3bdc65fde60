// Started by a launcher. Runs the laws of communicators one after the other on one world, and rank 0 prints `ok NAME` or
// `not ok NAME: WHY` of each. With an argument: only the law whose name contains it, which may be one that ends the job.
import { isPolyheadError, type Communicator } from "@polyhead/core";
import { communicatorLaws, type CommunicatorLaw } from "@polyhead/testkit";
import { mpiCommunicator } from "../../src/index.ts";

const [wanted] = process.argv.slice(2);
const all = communicatorLaws();
const timeoutMs = wanted === undefined ? 10_000 : (all.find(({ name }) => name.includes(wanted))?.timeoutMs ?? 10_000);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** What went wrong, on the first rank that has something to say. */
async function failureOf(comm: Communicator, run: CommunicatorLaw["run"]): Promise<string> {
  const text = new Uint8Array(1024);
  try {
    await run(comm);
  } catch (error) {
    if (isPolyheadError(error, "COMM_TIMEOUT") || isPolyheadError(error, "COMM_ABORTED") || isPolyheadError(error, "COMM_LOST")) throw error;
    new TextEncoder().encodeInto(error instanceof Error ? error.message : String(error), text);
  }
  const failed = new Float32Array(comm.size);
  failed[comm.rank] = text[0] === 0 ? 0 : 1;
  await comm.allReduce(failed).wait();
  const speaker = failed.indexOf(1);
  if (speaker < 0) return "";
  await comm.broadcast(text, speaker);
  return new TextDecoder().decode(text).replace(/\0.*$/s, "");
}

const comm = await mpiCommunicator({ timeoutMs });
if (wanted === undefined) {
  let ran = 0;
  // A limit of its own needs a world of its own.
  for (const { name, run } of all.filter((law) => !law.fatal && law.timeoutMs === undefined && law.ranks <= comm.size)) {
    const failure = await failureOf(comm, run);
    ran++;
    if (comm.rank === 0) print(failure === "" ? `ok ${name}` : `not ok ${name}: ${failure}`);
  }
  await comm.close();
  if (comm.rank === 0) print(`laws: ${ran} ran on ${comm.size} ranks`);
} else {
  const { name, fatal, run } = all.find((law) => law.name.includes(wanted))!;
  try {
    await run(comm);
    if (!fatal) await comm.close();
    print(`rank ${comm.rank} ok ${name}`);
  } catch (error) {
    print(`rank ${comm.rank} not ok ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
