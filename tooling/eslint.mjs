// `eslint .` in chunks: with types, the whole tree in one process needs more heap than a process of Node has.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const SIDE_BY_SIDE = Math.min(2, availableParallelism());
/** Keeps the heaviest process at 1.5 GB; 150 files are 3.3 GB. A larger folder is a chunk by itself. */
const FILES_IN_CHUNK = 60;

const skipped = new Set(["node_modules", "dist", "coverage", ".turbo"]);
const filesBelow = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true }).reduce((count, entry) => {
    if (entry.isDirectory()) return skipped.has(entry.name) ? count : count + filesBelow(`${folder}/${entry.name}`);
    return count + (/\.[cm]?[jt]s$/.test(entry.name) ? 1 : 0);
  }, 0);

/** Largest first, so that the last chunks to end are small ones. */
const folders = ["packages", "examples", "tooling"]
  .flatMap((group) => readdirSync(join(root, group), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `${group}/${entry.name}`))
  .map((path) => ({ path, files: filesBelow(path) }))
  .sort((a, b) => b.files - a.files);

const chunks = [];
for (const { path, files } of folders) {
  const open = chunks.find((chunk) => chunk.files + files <= FILES_IN_CHUNK);
  if (open === undefined) {
    chunks.push({ files, args: [path] });
    continue;
  }
  open.files += files;
  open.args.push(path);
}
// The rest of the tree is whatever is in none of those folders, so no file can fall between the chunks.
chunks.push({ files: 0, args: [".", ...folders.flatMap(({ path }) => ["--ignore-pattern", `${path}/`])] });

/** The folders come from the tree itself; one without a file to lint is no mistake. */
const lint = ({ args }) =>
  new Promise((done) => {
    const child = spawn("eslint", ["--no-error-on-unmatched-pattern", ...args, ...process.argv.slice(2)], {
      cwd: root,
      stdio: "inherit",
      shell: process.platform === "win32",
    });
    child.on("error", (error) => {
      console.error(`eslint: ${error.message}`);
      done(1);
    });
    child.on("exit", (code, signal) => {
      if (signal !== null) console.error(`eslint ${args[0]}: ended by ${signal}`);
      done(code ?? 1);
    });
  });

const codes = [];
const worker = async () => {
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) codes.push(await lint(chunk));
};
await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
process.exitCode = Math.max(...codes);
