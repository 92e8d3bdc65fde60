import { isPlugin, TOP_LEVEL } from "../table.ts";
import type { Rule, Violation, Workspace } from "../tree.ts";

const ROOM = ["src/index.ts", "README.md", "package.json", "tsconfig.json", "tsdown.config.ts"];
const PLUGIN_ROOM = [...ROOM, "src/plugin.ts", "src/reference.ts", "test/conformance.test.ts"];

const README_PARTS: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "the formula", pattern: /\$[^$]+\$|^```math|^ {4}\S.*=|^```text|^```\n/m },
  { what: "the paper", pattern: /arxiv\.org|doi\.org|https?:\/\/\S+/i },
  { what: "the capability table", pattern: /^\|.*\|\s*$/m },
  { what: "a TypeScript snippet", pattern: /^```ts\b/m },
];

function checkFiles(workspace: Workspace): Violation[] {
  const has = new Set(workspace.files.map(({ path }) => path.slice(workspace.path.length + 1)));
  const required = isPlugin(workspace.folder) ? PLUGIN_ROOM : ROOM;
  const missing = required.filter((file) => !has.has(file)).map((file) => ({
    file: `${workspace.path}/${file}`, rule: "rooms/file", message: `every ${isPlugin(workspace.folder) ? "plugin" : "package"} has it`, fix: `write ${file}`,
  }));
  const tested = [...has].some((file) => /^test\/.*\.test\.ts$/.test(file));
  return tested ? missing : [...missing, { file: `${workspace.path}/test`, rule: "rooms/test", message: "the package has no test", fix: "write test/<law>.test.ts" }];
}

function checkReadme(workspace: Workspace): Violation[] {
  const readme = workspace.files.find(({ path }) => path === `${workspace.path}/README.md`);
  if (readme === undefined || !isPlugin(workspace.folder)) return [];
  return README_PARTS.filter(({ pattern }) => !pattern.test(readme.text)).map(({ what }) => ({
    file: readme.path, rule: "rooms/readme", message: `a plugin's README shows ${what}`, fix: `add ${what}`,
  }));
}

function checkManifest(workspace: Workspace): Violation[] {
  const { name, type, license, exports } = workspace.manifest;
  const root = exports?.["."] as Record<string, string> | undefined;
  const wrong = [
    name === `@polyhead/${workspace.folder}` ? undefined : `its name is '${name ?? ""}', its folder says '@polyhead/${workspace.folder}'`,
    type === "module" ? undefined : 'it is not of type "module"',
    license === "MIT" ? undefined : "its license is not MIT",
    root?.["@polyhead/source"] === "./src/index.ts" ? undefined : "its entry '.' has no '@polyhead/source' condition, so nothing can use it unbuilt",
  ];
  return wrong.filter((message) => message !== undefined).map((message) => ({
    file: `${workspace.path}/package.json`, rule: "rooms/manifest", message, fix: "write it as the other packages do",
  }));
}

/** Every package is the same room, and the top of the house holds nothing else. */
export const rooms: Rule = ({ topLevel, workspaces }) => [
  ...topLevel.filter((name) => !TOP_LEVEL.has(name)).map((name) => ({
    file: name, rule: "rooms/top", message: "this does not belong at the top of the repository", fix: "move it below packages, examples, tooling or docs",
  })),
  ...workspaces.filter(({ group }) => group === "packages").flatMap((workspace) => [...checkFiles(workspace), ...checkReadme(workspace), ...checkManifest(workspace)]),
];
