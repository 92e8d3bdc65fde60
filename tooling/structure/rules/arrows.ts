import { arrowsOf, isPlugin, TEST_PACKAGES, type Arrows } from "../table.ts";
import type { Import } from "../scan.ts";
import { area, isConfig, type Manifest, type Module, type Rule, type Tree, type Violation, type Workspace } from "../tree.ts";

const SCOPE = "@polyhead/";

const packageOf = (specifier: string): string => specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
const isRelative = (specifier: string): boolean => specifier.startsWith(".");
const isBuiltin = (specifier: string): boolean => specifier.startsWith("node:");

/** Where a relative import leads, from the root. */
function target(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const step of specifier.split("/")) {
    if (step === "..") parts.pop();
    else if (step !== ".") parts.push(step);
  }
  return parts.join("/");
}

const declared = (manifest: Manifest, dev: boolean): Set<string> =>
  new Set([manifest.dependencies, manifest.peerDependencies, manifest.optionalDependencies, ...(dev ? [manifest.devDependencies] : [])].flatMap((list) => Object.keys(list ?? {})));

/** The table's word on one import of a package's `src`: why it is not allowed, or undefined. */
function refusal(from: string, arrows: Arrows, specifier: string): string | undefined {
  const path = specifier.slice(SCOPE.length);
  const [folder = ""] = path.split("/");
  if (arrows.packages.includes(path)) return undefined;
  // A sub-path of an allowed package is part of it, unless the table names entries of it one by one.
  if (arrows.packages.includes(folder)) return undefined;
  if (isPlugin(folder) && isPlugin(from)) return `a plugin never imports another plugin ('${specifier}')`;
  const allowed = arrows.packages.map((name) => SCOPE + name).join(", ");
  return `'${specifier}' is not below ${SCOPE}${from}; it may import ${allowed === "" ? "no Polyhead package" : allowed}`;
}

function checkPackage(tree: Tree, workspace: Workspace): Violation[] {
  const folders = tree.workspaces.filter(({ group }) => group === "packages").map(({ folder }) => folder);
  const arrows = arrowsOf(workspace.folder, folders);
  if (arrows === undefined) {
    return [{ file: `${workspace.path}/package.json`, rule: "arrows/unknown-package", message: `the table of arrows does not know '${workspace.folder}'`, fix: "add it to tooling/structure/table.ts, or give it a prefix that says its kind" }];
  }
  const inTests: Arrows = { packages: [...arrows.packages, ...TEST_PACKAGES, workspace.folder] };
  const found: Violation[] = [];
  for (const peer of arrows.peers ?? []) {
    const name = SCOPE + peer;
    if (workspace.manifest.peerDependencies?.[name] === undefined || workspace.manifest.dependencies?.[name] !== undefined) {
      found.push({ file: `${workspace.path}/package.json`, rule: "arrows/peer", message: `${name} must be a peer dependency of a plugin, and no dependency`, fix: `declare "${name}": ">=0.1.0 <1.0.0" under peerDependencies` });
    }
  }
  for (const [file, entry] of everyImport(workspace.modules)) {
    const { specifier, line } = entry;
    if (!specifier.startsWith(SCOPE) || isConfig(file.path)) continue;
    const inSource = area(workspace, file.path) === "src";
    const declaredHere = declared(workspace.manifest, true).has(packageOf(specifier));
    // A test may also use what its package declares for development; the table binds what ships.
    if (!inSource && declaredHere) continue;
    const why = refusal(workspace.folder, inSource ? arrows : inTests, specifier);
    if (why !== undefined) found.push({ file: file.path, line, rule: "arrows/import", message: why, fix: "move the shared part down, or import a library entry that the table allows" });
  }
  return found;
}

const everyImport = (modules: readonly Module[]): [Module, Import][] => modules.flatMap((file) => file.imports.map((entry): [Module, Import] => [file, entry]));

/** Only what the manifest declares is imported, and relative paths stay inside their workspace. */
function checkDeclared(tree: Tree, workspace: Workspace): Violation[] {
  const ships = declared(workspace.manifest, false);
  const all = declared(workspace.manifest, true);
  const ofRoot = declared(tree.rootManifest, true);
  return everyImport(workspace.modules).flatMap(([file, { specifier, line }]): Violation[] => {
    const name = packageOf(specifier);
    if (isConfig(file.path) || isBuiltin(specifier) || name === workspace.manifest.name) return [];
    if (isRelative(specifier)) {
      const to = target(file.path, specifier);
      if (to.startsWith(`${workspace.path}/`)) return [];
      return [{ file: file.path, line, rule: "arrows/relative", message: `'${specifier}' leaves ${workspace.path}`, fix: "import the other package by its name" }];
    }
    const inSource = workspace.group === "packages" && area(workspace, file.path) === "src";
    const known = inSource ? ships : all;
    // Test runners and compilers are the root's.
    if (known.has(name) || (!inSource && ofRoot.has(name))) return [];
    return [{ file: file.path, line, rule: "arrows/undeclared", message: `'${name}' is not ${inSource ? "a dependency" : "declared"} in ${workspace.path}/package.json`, fix: inSource ? "declare it under dependencies or peerDependencies" : "declare it under devDependencies" }];
  });
}

/** Nothing imports an example, by name or by path. */
function checkExamples(tree: Tree): Violation[] {
  const names = new Set(tree.workspaces.filter(({ group }) => group === "examples").map(({ manifest }) => manifest.name));
  const everywhere = [...tree.rootModules, ...tree.workspaces.flatMap(({ modules }) => modules)];
  return everyImport(everywhere).flatMap(([file, { specifier, line }]): Violation[] => {
    const to = isRelative(specifier) ? target(file.path, specifier) : "";
    const own = file.path.split("/").slice(0, 2).join("/");
    const hit = names.has(packageOf(specifier)) || (to.startsWith("examples/") && !to.startsWith(`${own}/`));
    return hit ? [{ file: file.path, line, rule: "arrows/example", message: `'${specifier}' is an example`, fix: "move what is shared into a package" }] : [];
  });
}

/** DESIGN's arrows: they point down only. */
export const arrows: Rule = (tree) => [
  ...tree.workspaces.filter(({ group }) => group === "packages").flatMap((workspace) => checkPackage(tree, workspace)),
  ...tree.workspaces.flatMap((workspace) => checkDeclared(tree, workspace)),
  ...checkExamples(tree),
];
