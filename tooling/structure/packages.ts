import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

function run(command: string, args: readonly string[], cwd: string): Outcome {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", shell: process.platform === "win32" });
  return { ok: status === 0, output: [error?.message, stdout, stderr].filter(Boolean).join("\n").trim() };
}

/**
 * Packs one built package as npm would and asks two judges about the archive: publint (are the files that the manifest
 * promises there, and what they claim to be) and attw (do types resolve as the code does). Returns what is wrong.
 */
export function check(folder: string, scratch: string): string[] {
  if (!existsSync(join(folder, "dist", "index.js"))) return ["it is not built; run `npm run build` first"];
  const packed = run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", scratch], folder);
  const archive = join(scratch, packed.output.split("\n").at(-1) ?? "");
  if (!packed.ok) return [`npm pack failed: ${packed.output}`];
  const judges = [
    run("publint", ["run", archive, "--strict"], folder),
    run("attw", [archive, "--profile", "esm-only", "--format", "table-flipped", "--no-emoji"], folder),
  ];
  return judges.filter(({ ok }) => !ok).map(({ output }) => output);
}

function checkAll(packages: string): boolean {
  const scratch = mkdtempSync(join(tmpdir(), "polyhead-pack-"));
  try {
    const names = readdirSync(packages).filter((name) => existsSync(join(packages, name, "package.json")));
    const wrong = names.flatMap((name) => check(join(packages, name), scratch).map((problem) => `packages/${name}\n${problem}\n`));
    for (const problem of wrong) console.log(problem);
    console.log(`packages: ${names.length} checked, ${wrong.length} complaints`);
    return wrong.length === 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = checkAll(fileURLToPath(new URL("../../packages", import.meta.url))) ? 0 : 1;
}
