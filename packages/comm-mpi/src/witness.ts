import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Socket } from "node:net";

/** Somebody who speaks for a process that was killed without a word. */
export interface Witness {
  /** What to say on this process's stderr should it end before `dismiss`. */
  testify(text: string): void;
  dismiss(): void;
}

/** Waits for the end of its input, which comes with the end of the process that holds the other side, however it ends. */
const SCRIPT = 'read -r _; if [ -e "$0" ]; then cat "$0" >&2; rm -f "$0"; fi';

/**
 * A small shell in a process group of its own. MPICH's launcher kills every rank by SIGKILL as soon as one is lost, and so does
 * a system that runs out of memory: no handler of the process itself runs then.
 *
 * Starts a process, so call it before MPI does: some networks do not survive a fork afterwards.
 */
export function callWitness(): Witness {
  const file = join(tmpdir(), `polyhead-witness-${process.pid}-${randomUUID()}`);
  const shell = spawn("/bin/sh", ["-c", SCRIPT, file], { detached: true, stdio: ["pipe", "ignore", "inherit"] });
  // Without a shell there is no witness, which is no reason not to run.
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return {
    testify: (text) => writeFileSync(file, `${text}\n`, { mode: 0o600 }),
    dismiss: () => rmSync(file, { force: true }),
  };
}

/** For a process that nobody started as one of several. */
export const noWitness: Witness = { testify: () => undefined, dismiss: () => undefined };
