import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { checkSnippets, snippets } from "../snippets.ts";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** Checks a repository with one package, `@polyhead/core`, and one README. */
function checkReadme(text: string): ReturnType<typeof checkSnippets> {
  const root = mkdtempSync(join(tmpdir(), "polyhead-readme-"));
  try {
    const files: Record<string, string> = {
      "README.md": text,
      "tsconfig.base.json": JSON.stringify({ extends: join(repository, "tsconfig.base.json") }),
      "packages/core/package.json": JSON.stringify({ name: "@polyhead/core", type: "module", exports: { ".": { "@polyhead/source": "./src/index.ts" }, "./deep": { "@polyhead/source": "./src/deep.ts" } } }),
      "packages/core/src/index.ts": "export const one: number = 1;\n",
      "packages/core/src/deep.ts": "export const two: string = '2';\n",
    };
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
    return checkSnippets(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("a snippet that uses the packages as they are compiles", () => {
  expect(checkReadme('# A\n\n```ts\nimport { one } from "@polyhead/core";\nimport { two } from "@polyhead/core/deep";\nconst sum: string = two.repeat(one);\nconsole.log(sum, await Promise.resolve(1), GPUBufferUsage.STORAGE, process.argv);\n```\n')).toEqual({ count: 1, errors: [] });
});

test("a snippet out of date is found, by its line in the Markdown", () => {
  const { errors } = checkReadme('# A\n\n```ts\nimport { one } from "@polyhead/core";\nconst text: string = one;\n```\n\n```ts\nimport { gone } from "@polyhead/core";\n```\n');
  expect(errors).toHaveLength(2);
  expect(errors[0]).toMatch(/^README\.md:5:7: error TS2322/);
  expect(errors[1]).toMatch(/^README\.md:9:10: error TS\d+: .*'gone'/);
});

test("blocks of other languages are left alone", () => {
  expect(snippets({ path: "a.md", text: "```sh\nnpm test\n```\n\n```ts ignore\n…\n```\n\n```ts\nx;\n```\n" })).toEqual([{ file: "a.md", line: 10, code: "x;\n" }]);
});
