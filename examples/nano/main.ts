import { isPolyheadError } from "@polyhead/core";
import { realpathSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Runs `work` if its file is the program; an error of ours is shown as its message alone, without a stack. */
export async function main(module: ImportMeta, work: () => Promise<void>): Promise<void> {
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
