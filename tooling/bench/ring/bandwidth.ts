import { localCommunicators } from "@polyhead/comm-local";
import { workerWorld, type Memory } from "@polyhead/comm-worker";
import { Worker } from "node:worker_threads";
import { pingPong } from "./pingpong.ts";

export interface Bandwidth {
  readonly contender: string;
  readonly bytes: number;
  /** Milliseconds for one message, one way. */
  readonly ms: number;
}

const MIB = 2 ** 20;

/** Two ranks of this process. */
export async function localBandwidth(rounds: number): Promise<Bandwidth> {
  const communicators = localCommunicators(2);
  const [ms] = await Promise.all(communicators.map((communicator) => pingPong(communicator, MIB, rounds)));
  await Promise.all(communicators.map((communicator) => communicator.close()));
  return { contender: "comm-local", bytes: MIB, ms: ms! };
}

/** Two threads. */
export async function workerBandwidth(memory: Memory, rounds: number): Promise<Bandwidth> {
  const workers = [0, 1].map(() => new Worker(new URL("pingpong-thread.ts", import.meta.url), {
    workerData: { bytes: MIB, rounds },
    execArgv: ["--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning"],
  }));
  const ms = new Promise<number>((resolve, reject) => {
    for (const worker of workers) {
      worker.on("message", (message: object) => { if ("ms" in message) resolve(message.ms as number); });
      worker.on("error", reject);
    }
  });
  const ended = workers.map((worker) => new Promise((resolve) => worker.on("exit", resolve)));
  workerWorld(workers, { memory });
  const result = { contender: `comm-worker, memory '${memory}'`, bytes: MIB, ms: await ms };
  await Promise.all(ended);
  return result;
}
