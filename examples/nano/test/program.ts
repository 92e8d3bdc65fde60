import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** What a finished program left. */
export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs a program of the example on the embedded GPU; `interrupt` sends Ctrl-C when the output first matches it. */
export async function program(file: string, args: readonly string[], interrupt?: RegExp): Promise<Finished> {
  const child = spawn(process.execPath, ["--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning", fileURLToPath(new URL(`../${file}`, import.meta.url)), ...args], {
    env: { ...process.env, POLYHEAD_GPU: "embedded", POLYHEAD_TUNE: "off" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, error, waiting] = ["", "", interrupt];
  child.stderr.on("data", (piece: Buffer) => { error += piece.toString(); });
  child.stdout.on("data", (piece: Buffer) => {
    out += piece.toString();
    if (waiting?.test(out) !== true) return;
    waiting = undefined;
    child.kill("SIGINT");
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, error };
}

export const fresh = (): string => mkdtempSync(join(tmpdir(), "polyhead-nano-"));
