import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { check } from "../packages.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A built package in a folder of its own, with some files changed. */
function built(changes: Record<string, string> = {}, types = "./dist/index.d.ts"): string[] {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-package-"));
  folders.push(folder);
  const files: Record<string, string> = {
    "package.json": JSON.stringify({ name: "@polyhead/x", version: "1.0.0", license: "MIT", type: "module", files: ["dist"], exports: { ".": { types, default: "./dist/index.js" } } }),
    "dist/index.js": "export const one = 1;\n",
    "dist/index.d.ts": "export declare const one: number;\n",
    ...changes,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return check(folder, folder);
}

test("a well-made package has no complaint", () => {
  expect(built()).toEqual([]);
});

test("types that the archive does not hold are a complaint of both judges", () => {
  const complaints = built({}, "./dist/missing.d.ts");
  expect(complaints).toHaveLength(2);
  expect(complaints[0]).toMatch(/missing\.d\.ts/);
});

test("CommonJS that calls itself a module is a complaint", () => {
  expect(built({ "dist/index.js": "module.exports = { one: 1 };\n" }).join("\n")).toMatch(/ESM|CJS|CommonJS/);
});

test("a package that was not built is not checked, and says so", () => {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-package-"));
  folders.push(folder);
  expect(check(folder, folder)).toEqual(["it is not built; run `npm run build` first"]);
});
