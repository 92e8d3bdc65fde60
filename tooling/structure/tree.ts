import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { imports, scan, type Import, type Scanned } from "./scan.ts";

/** A file of the repository, by its path from the root, with `/` between folders. */
export interface File {
  readonly path: string;
  readonly text: string;
}

/** A TypeScript or JavaScript file, read as far as the rules need it. */
export interface Module extends File {
  readonly scanned: Scanned;
  readonly imports: readonly Import[];
}

export interface Manifest {
  readonly name?: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly license?: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A folder of packages/, examples/ or tooling/ with a manifest. */
export interface Workspace {
  readonly group: "packages" | "examples" | "tooling";
  readonly folder: string;
  /** From the root: `packages/gpu`. */
  readonly path: string;
  readonly manifest: Manifest;
  readonly files: readonly File[];
  readonly modules: readonly Module[];
}

export interface Tree {
  readonly topLevel: readonly string[];
  readonly files: readonly File[];
  readonly workspaces: readonly Workspace[];
  /** Modules below tooling/ that belong to no workspace: they are the root's. */
  readonly rootModules: readonly Module[];
  readonly rootManifest: Manifest;
}

/** One broken rule. */
export interface Violation {
  readonly file: string;
  readonly line?: number;
  readonly rule: string;
  readonly message: string;
  readonly fix: string;
}

export type Rule = (tree: Tree) => Violation[];

/** Never ours: installed, built or written by runs. */
const SKIPPED = new Set(["node_modules", "dist", "coverage", ".turbo", ".git", "runs"]);
const TEXT = /\.(ts|mts|mjs|js|json|jsonc|md|yaml|yml|html|css|wgsl|txt|sh)$|(^|\/)(run|LICENSE|\.[a-z]+)$/;
const MODULE = /\.(ts|mts|mjs|js)$/;

function walk(root: string, folder: string): File[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return walk(root, path);
    return entry.isFile() && TEXT.test(path) ? [{ path, text: readFileSync(join(root, path), "utf8") }] : [];
  });
}

function asModule(file: File): Module {
  const scanned = scan(file.text);
  return { ...file, scanned, imports: imports(scanned) };
}

const readManifest = (file: string): Manifest => (existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Manifest) : {});

/** Reads the repository at `root`. */
export function readTree(root: string): Tree {
  const files = walk(root, "");
  const within = (path: string): File[] => files.filter((file) => file.path.startsWith(`${path}/`));
  const workspaces = (["packages", "examples", "tooling"] as const).flatMap((group) =>
    (existsSync(join(root, group)) ? readdirSync(join(root, group)) : [])
      .filter((folder) => existsSync(join(root, group, folder, "package.json")))
      .map((folder): Workspace => {
        const path = `${group}/${folder}`;
        const own = within(path);
        const modules = own.filter(({ path: name }) => MODULE.test(name)).map(asModule);
        return { group, folder, path, manifest: readManifest(join(root, path, "package.json")), files: own, modules };
      }),
  );
  const owned = (file: File): boolean => workspaces.some(({ path }) => file.path.startsWith(`${path}/`));
  return {
    topLevel: readdirSync(root).filter((name) => !SKIPPED.has(name)),
    files,
    workspaces,
    rootModules: files.filter((file) => MODULE.test(file.path) && !owned(file)).map(asModule),
    rootManifest: readManifest(join(root, "package.json")),
  };
}

export const isConfig = (path: string): boolean => /(^|\/)[a-z-]+\.config\.(ts|mts|mjs|js)$/.test(path);

/** Kernel files hold WGSL: `kernel.ts`, and everything below a folder `kernels`. */
export const isKernelFile = (path: string): boolean => /(^|\/)src\/(.*\/)?(kernel\.ts$|kernels\/)/.test(path);

/** The part of a path inside its workspace: `src`, `test`, …, or "" for a file at its top. */
export const area = (workspace: Workspace, path: string): string => {
  const [first = "", ...rest] = path.slice(workspace.path.length + 1).split("/");
  return rest.length > 0 ? first : "";
};
