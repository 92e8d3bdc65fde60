import { defineConfig, type UserConfig } from "tsdown";

/** The one way a Polyhead package is built: ESM, declarations, source maps, its entries kept apart. */
export function library(entry: Record<string, string> | string[] = ["src/index.ts"], platform: "neutral" | "node" = "neutral"): UserConfig {
  return defineConfig({
    entry,
    format: "esm",
    platform,
    // An entry for Node may stand beside neutral ones; its builtins stay imports.
    deps: { neverBundle: [/^node:/] },
    fixedExtension: false,
    target: "es2023",
    dts: true,
    sourcemap: true,
    clean: true,
  });
}
