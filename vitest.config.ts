import { readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

const conditions = ["@polyhead/source", "module", "node", "development|production"];

const node = (root: string) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name: root.split("/").at(-1)!,
    root,
    include: ["test/**/*.test.ts"],
    exclude: ["**/*.browser.test.ts"],
    // A worker thread's process.env never reaches the Vulkan loader, and Dawn dislikes being shared between threads.
    pool: "forks" as const,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

const withTests = ["packages", "examples", "tooling"].flatMap((group) =>
  readdirSync(new URL(group, import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${group}/${entry.name}`),
);

export default defineConfig({ test: { projects: withTests.map(node), passWithNoTests: true } });
