import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { arrows } from "./rules/arrows.ts";
import { files } from "./rules/files.ts";
import { rooms } from "./rules/rooms.ts";
import { words } from "./rules/words.ts";
import { readTree, type Violation } from "./tree.ts";

/** Every broken rule of the repository at `root`, by file. */
export function lint(root: string): Violation[] {
  const tree = readTree(root);
  return [arrows, rooms, files, words].flatMap((rule) => rule(tree)).sort((a, b) => a.file.localeCompare(b.file) || (a.line ?? 0) - (b.line ?? 0));
}

/** `file:line rule`, what is wrong, what to do. */
export const print = ({ file, line, rule, message, fix }: Violation): string =>
  `${file}${line === undefined ? "" : `:${line}`}  ${rule}\n  ${message}\n  fix: ${fix}`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const violations = lint(resolve(process.argv[2] ?? fileURLToPath(new URL("../..", import.meta.url))));
  for (const violation of violations) console.log(print(violation));
  console.log(violations.length === 0 ? "structure: all rules hold" : `structure: ${violations.length} broken rules`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
