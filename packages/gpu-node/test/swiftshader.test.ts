import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { unpackSwiftShader } from "../src/swiftshader.ts";
import { untar } from "../src/untar.ts";

const run = promisify(execFile);
const folders: string[] = [];
const temporary = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-"));
  folders.push(folder);
  return folder;
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const linuxX64 = process.platform === "linux" && process.arch === "x64";

test.runIf(linuxX64)("two processes that unpack at once leave one whole folder and nothing else", async () => {
  const cache = temporary();
  const child = fileURLToPath(new URL("unpack-child.ts", import.meta.url));
  const both = await Promise.all([1, 2].map(() => run(process.execPath, ["--disable-warning=ExperimentalWarning", child, cache])));
  const [first, second] = both.map(({ stdout }) => stdout);
  expect(first).toBe(second);
  expect(readdirSync(cache)).toHaveLength(1);
  const [folder] = readdirSync(cache);
  expect(readdirSync(join(cache, folder!)).sort()).toEqual(["libvk_swiftshader.so", "libvulkan.so.1", "vk_swiftshader_icd.json"]);
  expect(JSON.parse(readFileSync(first!, "utf8"))).toMatchObject({ ICD: { library_path: "./libvk_swiftshader.so" } });
});

test.runIf(linuxX64)("a second call unpacks nothing", () => {
  const cache = temporary();
  const { driver } = unpackSwiftShader(cache)!;
  writeFileSync(driver, "kept");
  expect(unpackSwiftShader(cache)?.driver).toBe(driver);
  expect(readFileSync(driver, "utf8")).toBe("kept");
});

test.runIf(linuxX64)("a cache folder that cannot be made is an error that names it", () => {
  const file = join(temporary(), "file");
  writeFileSync(file, "");
  expect(() => unpackSwiftShader(join(file, "cache"))).toThrow(/ENOTDIR.*file/);
});

test("an archive cut off in the middle of an entry is refused", () => {
  const tar = Buffer.alloc(1024);
  tar.write("a.txt", 0);
  tar.write("00000001000\0", 124);
  expect([...untar(tar)][0]).toMatchObject({ name: "a.txt", data: { length: 512 } });
  expect(() => [...untar(tar.subarray(0, 700))]).toThrow("tar entry 'a.txt' needs 512 bytes, 188 are left");
});
