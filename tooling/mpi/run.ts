import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Launcher } from "@polyhead/comm-mpi";

/** One case that was run: how it failed, or an empty string. */
export interface Judged {
  readonly case: string;
  readonly failure: string;
}

export interface Ran {
  /** Of the launcher; 124 where its time was up. */
  readonly code: number;
  readonly stdout: string;
  /** Both streams, as they came. */
  readonly output: string;
  /** When it ended, as `Date.now()` says. */
  readonly endedAt: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly seconds: number;
}

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** This Node, and what makes it run the repository's sources. */
export const NODE: readonly string[] = [process.execPath, "--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning"];

/** Runs a command until it ends, or its time does: then it and all that it started are killed. */
export function run([command = "", ...args]: readonly string[], { env = {}, seconds }: RunOptions): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let output = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, seconds * 1000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (output += text));
    const end = (code: number): void => {
      clearTimeout(timer);
      resolve({ code: late ? 124 : code, stdout, output, endedAt: Date.now() });
    };
    child.on("error", (error) => {
      output += error.message;
      end(127);
    });
    child.on("close", (code) => end(code ?? 1));
  });
}

/** Starts ranks of a program of this repository on this machine. */
export const runRanks = (launcher: Launcher, ranks: number, file: string, args: readonly string[], { env, seconds }: RunOptions): Promise<Ran> =>
  run([launcher.command, ...launcher.args(ranks), ...NODE, file, ...args], { env: { ...launcher.env, ...env }, seconds });

/** The end of an output, for a reader who wants to know what went wrong. */
export const tail = (output: string): string => output.trim().split("\n").slice(-12).join("\n");
