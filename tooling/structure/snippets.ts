import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readTree, type File, type Tree } from "./tree.ts";

/** One TypeScript block of a Markdown file. */
export interface Snippet {
  readonly file: string;
  /** Of the block's first line of code. */
  readonly line: number;
  readonly code: string;
}

/** The blocks marked `ts`; one marked otherwise, `ts ignore` say, is not meant to compile. */
export function snippets({ path, text }: File): Snippet[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => ({
    file: path, line: text.slice(0, match.index).split("\n").length + 1, code: match[1]!,
  }));
}

/** Where each entry of each package has its source: `@polyhead/core/safetensors` → the file behind it. */
function entries(tree: Tree, root: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { group, path, manifest } of tree.workspaces) {
    if (group !== "packages" || manifest.name === undefined) continue;
    for (const [entry, conditions] of Object.entries(manifest.exports ?? {})) {
      const source = typeof conditions === "object" ? (conditions as Record<string, string>)["@polyhead/source"] : undefined;
      if (source !== undefined) found[manifest.name + entry.slice(1)] = [join(root, path, source)];
    }
  }
  return found;
}

/**
 * Compiles every snippet of the repository's Markdown as a module of its own, against the packages' sources.
 * Returns what the compiler says, with the place in the Markdown instead of the place in the module.
 */
export function checkSnippets(root: string): { readonly count: number; readonly errors: readonly string[] } {
  const tree = readTree(root);
  const all = tree.files.filter(({ path }) => path.endsWith(".md")).flatMap(snippets);
  const folder = mkdtempSync(join(tmpdir(), "polyhead-snippets-"));
  try {
    all.forEach(({ code }, i) => writeFileSync(join(folder, `snippet-${i}.mts`), code));
    const modules = join(root, "node_modules");
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
      extends: join(root, "tsconfig.base.json"),
      compilerOptions: {
        paths: entries(tree, root), typeRoots: [join(modules, "@types"), join(modules, "@webgpu")], types: ["node", "types"],
        isolatedDeclarations: false, declaration: false,
      },
      include: ["."],
    }));
    const { stdout, error } = spawnSync("tsc", ["-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8", shell: process.platform === "win32" });
    if (error !== undefined) return { count: all.length, errors: [`tsc: ${error.message}`] };
    // What is wrong in the sources themselves is the typecheck's to tell, once.
    const errors = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("..")).map((line) =>
      line.replace(/^snippet-(\d+)\.mts\((\d+),(\d+)\)/, (_, i: string, row: string, column: string) => {
        const { file, line: first } = all[Number(i)]!;
        return `${file}:${first + Number(row) - 1}:${column}`;
      }),
    );
    return { count: all.length, errors };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { count, errors } = checkSnippets(fileURLToPath(new URL("../..", import.meta.url)));
  for (const error of errors) console.log(error);
  console.log(errors.length === 0 ? `snippets: all ${count} compile` : `snippets: ${errors.length} errors in ${count}`);
  process.exitCode = errors.length === 0 ? 0 : 1;
}
