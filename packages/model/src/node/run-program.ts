import { realpathSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { isPolyheadError } from "@polyhead/core";

/**
 * Runs `work` if the module is the program that was started, and not imported by another: `await runProgram(import.meta, work)`. An
 * error of ours is shown as its message alone, without a stack, and the exit code is 1; work that a signal broke off ends with 130, as
 * shells have it.
 */
export async function runProgram(module: { readonly url: string }, work: () => Promise<void>): Promise<void> {
  const program = process.argv[1];
  if (program === undefined || realpathSync(program) !== fileURLToPath(module.url)) return;
  try {
    await work();
  } catch (error) {
    const broken = error instanceof Error && error.name === "AbortError";
    if (!broken && !isPolyheadError(error)) throw error;
    console.error(broken ? "interrupted" : error.message);
    process.exitCode = broken ? 130 : 1;
  }
}

/** Aborted by the first Ctrl-C, so that a program may end its work well; a second one ends it at once. */
export function interruption(): AbortSignal {
  const stop = new AbortController();
  process.once("SIGINT", () => { stop.abort(); });
  return stop.signal;
}
