import { isConfig, isKernelFile, type File, type Module, type Rule, type Violation } from "../tree.ts";

const MAX_LINES = 250;
const MAX_KERNEL_LINES = 400;
const KEBAB = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
const CAPITALS = new Set(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]);

function checkName({ path }: File): Violation[] {
  const wrong = path.split("/").filter((part) => !KEBAB.test(part) && !CAPITALS.has(part));
  return wrong.map((part) => ({ file: path, rule: "files/kebab-case", message: `'${part}' is not in kebab-case`, fix: "rename it to lower-case words with dashes" }));
}

function checkLength({ path, text }: Module): Violation[] {
  const lines = text.trimEnd().split("\n").length;
  const max = isKernelFile(path) ? MAX_KERNEL_LINES : MAX_LINES;
  return lines <= max ? [] : [{ file: path, rule: "files/length", message: `${lines} lines; at most ${max}`, fix: "split it by idea" }];
}

const lineOf = (text: string, pattern: RegExp): number => {
  const index = text.search(pattern);
  return index < 0 ? 0 : text.slice(0, index).split("\n").length;
};

const DEFAULT = /^[ \t]*export\s+default\b|^[ \t]*export\s*\{[^}]*\bas\s+default\b/m;
const TAG = /\bwgsl\s*`/;
const DEFINES_TAG = /\bexport\s+function\s+wgsl\b/;

function checkModule(file: Module): Violation[] {
  const { path, scanned } = file;
  const found: Violation[] = checkLength(file);
  // A declaration file tells how somebody else exports.
  if (!isConfig(path) && !path.endsWith(".d.ts") && DEFAULT.test(scanned.bare)) {
    found.push({ file: path, line: lineOf(scanned.bare, DEFAULT), rule: "files/default-export", message: "a default export", fix: "export it by name" });
  }
  // The tag is for what ships: a test may hold the small kernel that it runs.
  const ships = /^packages\/[^/]+\/src\//.test(path);
  if (ships && !isKernelFile(path) && TAG.test(scanned.bare) && !DEFINES_TAG.test(scanned.bare)) {
    found.push({ file: path, line: lineOf(scanned.bare, TAG), rule: "files/wgsl", message: "WGSL outside of a kernel file", fix: "move it to src/kernel.ts or below a folder kernels/" });
  }
  return found;
}

/** What holds for every file by itself: its name, its length, its exports, and where shaders may stand. */
export const files: Rule = ({ files: all, rootModules, workspaces }) => [
  ...all.filter(({ path }) => path.includes("/") && !path.startsWith(".")).flatMap(checkName),
  ...[...rootModules, ...workspaces.flatMap(({ modules }) => modules)].flatMap(checkModule),
];
