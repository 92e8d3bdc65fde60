import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { lint } from "../main.ts";
import type { Violation } from "../tree.ts";

type Files = Readonly<Record<string, string>>;

const manifest = (name: string, more: object = {}): string =>
  JSON.stringify({ name: `@polyhead/${name}`, type: "module", license: "MIT", exports: { ".": { "@polyhead/source": "./src/index.ts" } }, ...more });

const room = (name: string, more: object = {}): Files => ({
  [`packages/${name}/package.json`]: manifest(name, more),
  [`packages/${name}/README.md`]: `# ${name}\n`,
  [`packages/${name}/tsconfig.json`]: "{}",
  [`packages/${name}/tsdown.config.ts`]: 'import { library } from "../../tooling/tsconfig/tsdown.ts";\nexport default library();\n',
  [`packages/${name}/src/index.ts`]: "export const one: number = 1;\n",
  [`packages/${name}/test/law.test.ts`]: 'import { one } from "../src/index.ts";\nimport { expect, test } from "vitest";\ntest("one is one", () => expect(one).toBe(1));\n',
});

const plugin = (name: string): Files => ({
  ...room(name, {
    dependencies: name.startsWith("pos-") ? {} : { "@polyhead/tensor": "workspace:^" },
    peerDependencies: { "@polyhead/core": ">=0.1.0 <1.0.0" },
    devDependencies: { "@polyhead/core": "workspace:^", "@polyhead/gpu-node": "workspace:^" },
  }),
  [`packages/${name}/src/plugin.ts`]: 'import { one } from "@polyhead/core";\nexport const plugin: number = one;\n',
  [`packages/${name}/src/reference.ts`]: "export const reference: number = 1;\n",
  [`packages/${name}/src/kernel.ts`]: "declare function wgsl(strings: TemplateStringsArray): string;\nexport const kernel: string = wgsl`fn main() {}`;\n",
  [`packages/${name}/test/conformance.test.ts`]: 'import { openNodeGpu } from "@polyhead/gpu-node";\nopenNodeGpu();\n',
  [`packages/${name}/README.md`]: "$y = x$, [paper](https://arxiv.org/abs/1)\n\n| can | |\n|---|---|\n\n```ts\nplugin;\n```\n",
});

/** A small repository that breaks no rule. */
export const HOUSE: Files = {
  "package.json": JSON.stringify({ name: "polyhead", devDependencies: { vitest: "1" } }),
  "README.md": "# Polyhead\n",
  ...room("expr"),
  ...room("core", { dependencies: { "@polyhead/expr": "workspace:^" } }),
  ...room("gpu", { devDependencies: { "@polyhead/gpu-node": "workspace:^" } }),
  ...room("tensor", { dependencies: { "@polyhead/gpu": "workspace:^" } }),
  ...plugin("norm-rms"),
  ...plugin("pos-rope"),
  "examples/nano/package.json": JSON.stringify({ name: "@polyhead/example-nano", dependencies: { "@polyhead/core": "workspace:^" } }),
  "examples/nano/train.ts": 'import { one } from "@polyhead/core";\nimport { text } from "./text.ts";\ntext(one);\n',
  "examples/nano/text.ts": "export const text = String;\n",
};

/** Lints the house with some files changed or, where the text is undefined, taken away. */
export function lintWith(changes: Readonly<Record<string, string | undefined>>): Violation[] {
  const root = mkdtempSync(join(tmpdir(), "polyhead-house-"));
  try {
    for (const [path, text] of Object.entries({ ...HOUSE, ...changes })) {
      if (text === undefined) continue;
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return lint(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A manifest of the house with a field replaced. */
export const changed = (path: string, more: object): string => JSON.stringify({ ...(JSON.parse(HOUSE[path]!) as object), ...more });
