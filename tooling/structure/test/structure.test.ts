import { expect, test } from "vitest";
import { print } from "../main.ts";
import { changed, lintWith } from "./house.ts";

const lines = (count: number): string => "export {};\n".repeat(count);
const broken = (changes: Record<string, string | undefined>): string[] => lintWith(changes).map(({ file, line, rule }) => `${file}${line === undefined ? "" : `:${line}`} ${rule}`);

test("a house in order breaks no rule", () => {
  expect(lintWith({}).map(print)).toEqual([]);
});

const importing = (specifier: string): string => `\nimport { one } from "${specifier}";\nexport const two: number = one;\n`;
const cases: [string, Record<string, string | undefined>, string[]][] = [
  ["an arrow that points up", { "packages/expr/src/index.ts": importing("@polyhead/core") }, ["packages/expr/src/index.ts:2 arrows/import", "packages/expr/src/index.ts:2 arrows/undeclared"]],
  ["a position that imports tensors", {
    "packages/pos-rope/src/plugin.ts": importing("@polyhead/tensor"),
    "packages/pos-rope/package.json": changed("packages/pos-rope/package.json", { dependencies: { "@polyhead/tensor": "workspace:^" } }),
  }, ["packages/pos-rope/src/plugin.ts:2 arrows/import"]],
  ["a plugin that imports a plugin", {
    "packages/norm-rms/src/plugin.ts": importing("@polyhead/pos-rope"),
    "packages/norm-rms/package.json": changed("packages/norm-rms/package.json", { dependencies: { "@polyhead/pos-rope": "workspace:^" } }),
  }, ["packages/norm-rms/src/plugin.ts:2 arrows/import"]],
  ["core as a dependency of a plugin", {
    "packages/norm-rms/package.json": changed("packages/norm-rms/package.json", { dependencies: { "@polyhead/core": "workspace:^" }, peerDependencies: {} }),
  }, ["packages/norm-rms/package.json arrows/peer"]],
  ["a package that the table does not know", {
    "packages/stuff/package.json": JSON.stringify({ name: "@polyhead/stuff", type: "module", license: "MIT", exports: { ".": { "@polyhead/source": "./src/index.ts" } } }),
    "packages/stuff/README.md": "", "packages/stuff/tsconfig.json": "{}", "packages/stuff/tsdown.config.ts": "", "packages/stuff/src/index.ts": "", "packages/stuff/test/a.test.ts": "",
  }, ["packages/stuff/package.json arrows/unknown-package"]],
  ["an undeclared dependency", { "packages/core/src/index.ts": importing("left-pad") }, ["packages/core/src/index.ts:2 arrows/undeclared"]],
  ["a development dependency in what ships", { "packages/norm-rms/src/plugin.ts": importing("vitest") }, ["packages/norm-rms/src/plugin.ts:2 arrows/undeclared"]],
  ["an undeclared dynamic import", { "packages/core/src/index.ts": 'export const load = () =>\n  import("left-pad");\n' }, ["packages/core/src/index.ts:2 arrows/undeclared"]],
  ["a relative path into another package", { "packages/core/src/index.ts": importing("../../expr/src/index.ts") }, ["packages/core/src/index.ts:2 arrows/relative"]],
  ["a package that imports an example", {
    "packages/core/test/law.test.ts": importing("@polyhead/example-nano"),
    "packages/core/package.json": changed("packages/core/package.json", { devDependencies: { "@polyhead/example-nano": "workspace:^" } }),
  }, ["packages/core/test/law.test.ts:2 arrows/example"]],
  ["a tool that imports an example by path", { "tooling/demo.ts": importing("../examples/nano/train.ts") }, ["tooling/demo.ts:2 arrows/example"]],
  ["a plugin without a reference", { "packages/norm-rms/src/reference.ts": undefined }, ["packages/norm-rms/src/reference.ts rooms/file"]],
  ["a plugin without its conformance test", { "packages/norm-rms/test/conformance.test.ts": undefined }, ["packages/norm-rms/test/conformance.test.ts rooms/file"]],
  ["a package without a README", { "packages/core/README.md": undefined }, ["packages/core/README.md rooms/file"]],
  ["a package without a test", { "packages/core/test/law.test.ts": undefined }, ["packages/core/test rooms/test"]],
  ["a plugin's README without a table and a paper", { "packages/norm-rms/README.md": "$y = x$\n\n```ts\nplugin;\n```\n" }, ["packages/norm-rms/README.md rooms/readme", "packages/norm-rms/README.md rooms/readme"]],
  ["a name that differs from the folder", { "packages/core/package.json": changed("packages/core/package.json", { name: "@polyhead/kernel" }) }, ["packages/core/package.json rooms/manifest"]],
  ["an entry that cannot be used unbuilt", { "packages/core/package.json": changed("packages/core/package.json", { exports: { ".": "./dist/index.js" } }) }, ["packages/core/package.json rooms/manifest"]],
  ["a stray file at the top", { "notes.md": "" }, ["notes.md rooms/top"]],
  ["a file of 251 lines", { "packages/core/src/long.ts": lines(251) }, ["packages/core/src/long.ts files/length"]],
  ["a kernel of 401 lines", { "packages/core/src/kernels/long.ts": lines(401) }, ["packages/core/src/kernels/long.ts files/length"]],
  ["a name in camel case", { "packages/core/src/bigName.ts": "" }, ["packages/core/src/bigName.ts files/kebab-case"]],
  ["a default export", { "packages/core/src/index.ts": "\nexport default 1;\n" }, ["packages/core/src/index.ts:2 files/default-export"]],
  ["WGSL outside of a kernel file", { "packages/norm-rms/src/plugin.ts": "declare const wgsl: typeof String.raw;\nexport const code: string = wgsl`fn f() {}`;\n" }, ["packages/norm-rms/src/plugin.ts:2 files/wgsl"]],
  ["a registry's host", { "docs/install.md": "npm --registry https://registry.example.org\n" }, ["docs/install.md:1 words/forbidden"]],
  ["a path of one machine", { "packages/core/src/index.ts": '\nexport const cache = "/home/me/cache";\n' }, ["packages/core/src/index.ts:2 words/forbidden"]],
  ["a drive of one machine", { "docs/install.md": "C:\\Users\\me\n" }, ["docs/install.md:1 words/forbidden"]],
  ["the number of an issue", { "docs/why.md": "\nas issue 12 asks\n" }, ["docs/why.md:2 words/forbidden"]],
];
test.each(cases)("%s is found, and nothing else", (_what, changes, expected) => {
  expect(broken(changes)).toEqual(expected);
});

const allowed: [string, Record<string, string | undefined>][] = [
  ["250 lines", { "packages/core/src/long.ts": lines(250) }],
  ["400 lines of kernel", { "packages/core/src/kernels/long.ts": lines(400) }],
  ["a forbidden import in a comment or a template", { "packages/core/src/index.ts": '// import { x } from "left-pad";\n/*\nimport "left-pad";\n*/\nexport const text: string = `\nimport "left-pad";\n`;\n' }],
  ["a test that uses a package declared for development", { "packages/gpu/test/law.test.ts": 'import { openNodeGpu } from "@polyhead/gpu-node";\nopenNodeGpu();\n' }],
  ["the path of a URL", { "docs/why.md": "https://example.org/home/me and ./tmp/x and src/opt/x\n" }],
];
test.each(allowed)("%s breaks no rule", (_what, changes) => {
  expect(broken(changes)).toEqual([]);
});

test("a violation prints the file, the line, the rule, what is wrong and what to do", () => {
  const [violation] = lintWith({ "packages/pos-rope/src/plugin.ts": importing("@polyhead/norm-rms") });
  expect(print(violation!)).toBe(
    "packages/pos-rope/src/plugin.ts:2  arrows/import\n  a plugin never imports another plugin ('@polyhead/norm-rms')\n  fix: move the shared part down, or import a library entry that the table allows",
  );
});
