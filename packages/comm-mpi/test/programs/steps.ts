// Started by a launcher: steps that send around the ring and add up, as those of a training run do. The first argument says
// what rank 1 does in the middle of them; nothing without one. With a second, ranks leave what they catch in that folder too:
// a launcher that ends a job may drop the last lines of some.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isPolyheadError } from "@polyhead/core";
import { mpiCommunicator } from "../../src/index.ts";

const STEPS = 40;
const [fault = "", folder] = process.argv.slice(2);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const faults: Readonly<Record<string, () => Promise<void> | void>> = {
  kill: () => void process.kill(process.pid, "SIGKILL"),
  // Stopped, not ended: its links stay up, and it answers nobody.
  stop: () => void process.kill(process.pid, "SIGSTOP"),
  // Alive, but never doing its part.
  stall: () => new Promise((resolve) => setTimeout(resolve, 60_000)),
  throw: () => {
    throw new Error("the loss of rank 1 is not a number");
  },
  leave: () => process.exit(0),
  abort: () => comm.abort("rank 1 has seen enough"),
};

const comm = await mpiCommunicator({ timeoutMs: fault === "stop" || fault === "stall" ? 1500 : 20_000 });
const { rank, size } = comm;
const next = (rank + 1) % size;
const previous = (rank + size - 1) % size;
const data = new Float32Array(1 << 18).fill(rank);
const into = new Float32Array(1 << 18);
const gradient = new Float32Array(1 << 16);

async function step(i: number): Promise<void> {
  if (rank === 1 && i === STEPS / 2) {
    print(`rank 1: ${fault === "" ? "nothing happens" : fault} at ${Date.now()}`);
    await faults[fault]?.();
  }
  await comm.sendrecv({ send: { data, to: next }, receive: { into, from: previous }, tag: 7 }).wait();
  if (into[0] !== previous || into.at(-1) !== previous) throw new Error(`rank ${rank}: ${into[0]} arrived from rank ${previous}`);
  gradient.fill(rank);
  await comm.allReduce(gradient).wait();
  if (gradient[5] !== (size * (size - 1)) / 2) throw new Error(`rank ${rank}: the sum is ${gradient[5]}`);
}

try {
  for (let i = 0; i < STEPS; i++) await step(i);
} catch (error) {
  if (!isPolyheadError(error)) throw error;
  const line = `rank ${rank} caught ${error.message.split("\n")[0]!}`;
  if (folder !== undefined) writeFileSync(join(folder, `${rank}`), line);
  print(line);
  process.exit(1);
}
await comm.barrier();
if (rank === 0) print(`steps: ${STEPS} done on ${size} ranks`);
await comm.close();
