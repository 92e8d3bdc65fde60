import { playwright } from "@vitest/browser-playwright";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { defineConfig, type ViteUserConfigExport } from "vitest/config";
import { findChromium } from "./tooling/browser/chromium.ts";

const source = ["@polyhead/source", "module"];
const mode = "development|production";

const node = (root: string) => ({
  resolve: { conditions: [...source, "node", mode] },
  ssr: { resolve: { conditions: [...source, "node", mode] } },
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

/** POLYHEAD_BROWSER=0 leaves the browser out. */
const chromium = process.env["POLYHEAD_BROWSER"] === "0" ? undefined : findChromium();

const browser = (launchOptions: NonNullable<typeof chromium>) => ({
  resolve: { conditions: [...source, "browser", mode] },
  test: {
    name: "chromium",
    include: ["packages/*/test/**/*.browser.test.ts", "examples/*/test/**/*.browser.test.ts"],
    testTimeout: 120_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions }),
      instances: [{ browser: "chromium" as const }],
    },
  },
});

const withTests = ["packages", "examples", "tooling"].flatMap((group) =>
  readdirSync(new URL(group, import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(new URL(`${group}/${entry.name}/test`, import.meta.url)))
    .map((entry) => `${group}/${entry.name}`),
);

const config: ViteUserConfigExport = defineConfig({
  test: {
    projects: [...withTests.map(node), ...(chromium === undefined ? [] : [browser(chromium)])],
    // Vitest leaves a core to itself, and of two cores that is half: but it waits most of the time, and a test computes on one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    passWithNoTests: true,
  },
});
export default config;
