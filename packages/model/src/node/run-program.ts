import { realpathSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isPolyheadError } from "@polyhead/core";

/**
 * Runs `work` if the module is the program that was started, and not imported by another: `await runProgram(import.meta, work)`. An
 * error of ours is shown as its message alone, without a stack, and the exit code is 1.
 */
export async function runProgram(module: { readonly url: string }, work: () => Promise<void>): Promise<void> {
  const program = process.argv[1];
  if (program === undefined || realpathSync(program) !== fileURLToPath(module.url)) return;
  try {
    await work();
  } catch (error) {
    if (!isPolyheadError(error)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** Aborted by the first Ctrl-C, so that a program may end its work well; a second one ends it at once. */
export function interruption(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => { stop.abort(); });
  return stop.signal;
}
