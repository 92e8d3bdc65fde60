import { Worker } from "node:worker_threads";
import { type SeatOptions, workerWorld } from "../src/index.ts";

/** Threads that run one of `ranks/`, as a world. */
export function nodeWorld(script: string, size: number, workerData: unknown, options?: SeatOptions): Worker[] {
  const url = new URL(`ranks/${script}.ts`, import.meta.url);
  const workers = Array.from({ length: size }, () => new Worker(url, { workerData, execArgv: ["--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning"] }));
  workerWorld(workers, options);
  return workers;
}

/** What the worker says next; rejects if it dies before. */
export function answer<T>(worker: Worker, key: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const listener = (message: Record<string, unknown>): void => {
      if (!(key in message)) return;
      worker.off("message", listener);
      worker.off("error", reject);
      resolve(message as T);
    };
    worker.on("message", listener);
    worker.on("error", reject);
  });
}
