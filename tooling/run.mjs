#!/usr/bin/env node
// From a bare Node >= 20 and npm to an installed workspace, then one task. No dependencies.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, utimesSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const pnpmVersion = packageManager.split("@")[1].split("+")[0];

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1", COREPACK_ENABLE_STRICT: "0" };
// node_modules/.bin comes first: Node 24 arrives there as an npm package, so the system's Node may be older.
const pathKey = Object.keys(env).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
env[pathKey] = [join(root, "node_modules", ".bin"), env[pathKey]].join(delimiter);
env.INIT_CWD ??= process.cwd();

// Ctrl-C is the task's to answer: a training run saves a checkpoint first, and this process waits for it.
process.on("SIGINT", () => undefined);

const spawn = (command, args, options = {}) =>
  spawnSync(command, args, { cwd: root, env, stdio: "inherit", shell: process.platform === "win32", ...options });

function must(command, args, options = {}) {
  const { status, error } = spawn(command, args, options);
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function pnpm(args, options) {
  const found = spawn("pnpm", ["--version"], { stdio: "pipe", encoding: "utf8" });
  const fits = found.status === 0 && found.stdout.trim().split(".")[0] === pnpmVersion.split(".")[0];
  if (fits) must("pnpm", args, options);
  else must("npx", ["--yes", `pnpm@${pnpmVersion}`, ...args], options);
}

const installed = join(root, "node_modules", ".modules.yaml");

/** Installed dependencies are stale when the lockfile is newer than pnpm's own record of the last install. */
function stale() {
  return !existsSync(installed) || statSync(join(root, "pnpm-lock.yaml")).mtimeMs > statSync(installed).mtimeMs;
}

const source = ["--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning"];
const node = (script, ...args) => ["node", [...source, script, ...args]];

/** Every task is a list of commands, run in order; the arguments after the task's name go to the last one. */
const tasks = {
  setup: () => [],
  demo: (args) => [node("examples/nano/demo.ts", ...args)],
  test: (args) => [["vitest", ["run", ...args]]],
  conformance: (args) => [node("tooling/conformance/main.ts", ...args)],
  // The bench's heavy peers have a workspace of their own, which only the bench asks for.
  peers: () => {
    pnpm(["--dir", "tooling/bench/onnx", "install", "--frozen-lockfile"], { stdio: ["inherit", 2, 2] });
    return [];
  },
  bench: (args) => [node("tooling/bench/main.ts", ...args)],
  mpi: (args) => [node("tooling/mpi/main.ts", ...args)],
  matrix: (args) => [node("tooling/matrix/main.ts", ...args)],
  generate: (args) => [node("tooling/generate/main.ts", ...args)],
  ring: (args) => [node("examples/ring/main.ts", ...args)],
  build: (args) => [["turbo", ["run", "build", ...args]]],
  typecheck: (args) => [["tsc", ["-p", "tooling"]], node("tooling/structure/snippets.ts"), ["turbo", ["run", "typecheck", ...args]]],
  lint: (args) => [...tasks.structure([]), ...tasks.eslint(args)],
  eslint: (args) => [["node", ["tooling/eslint.mjs", ...args]]],
  structure: (args) => [node("tooling/structure/main.ts", ...args)],
  packages: (args) => [node("tooling/structure/packages.ts", ...args)],
  check: () => [...tasks.lint([]), ...tasks.build([]), ...tasks.typecheck([]), ...tasks.packages([]), ...tasks.test([])],
};

const [name = "setup", ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, name)) {
  console.error(`unknown task '${name}'; the tasks are: ${Object.keys(tasks).join(", ")}`);
  process.exit(2);
}
if (stale()) {
  // On stderr, since a task's own output may be JSON; and marked, since an install with nothing to do leaves the old date.
  pnpm(["install", "--frozen-lockfile"], { stdio: ["inherit", 2, 2] });
  utimesSync(installed, new Date(), new Date());
}
for (const [command, commandArgs] of tasks[name](args)) {
  // Turbo looks for the package manager on PATH, where a bare machine has none: pnpm puts itself there.
  if (command === "turbo") pnpm(["exec", command, ...commandArgs]);
  else must(command, commandArgs);
}
