import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync } from "node:zlib";

/** How to start a Chromium with WebGPU on its software GPU. */
export interface ChromiumLaunch {
  readonly executablePath: string;
  readonly args: string[];
  readonly env: Record<string, string>;
}

const ARGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const SYSTEM = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

const environment = (more: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries({ ...process.env, ...more }).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** Unpacks the browser, its libraries and fonts (about 210 MB) into the user's cache, once per version. */
function unpack(): string {
  const root = dirname(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const folder = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "polyhead", `chromium-${version}`);
  if (existsSync(folder)) return folder;
  const mine = `${folder}.${process.pid}-${Date.now()}`;
  mkdirSync(mine, { recursive: true });
  try {
    for (const archive of ["swiftshader", "al2023", "fonts"]) {
      const { status, stderr } = spawnSync("tar", ["-x", "-C", mine], { input: brotliDecompressSync(readFileSync(join(root, "bin", `${archive}.tar.br`))) });
      if (status !== 0) throw new Error(`tar could not unpack ${archive} into ${mine}: ${String(stderr)}`);
    }
    writeFileSync(join(mine, "chromium"), brotliDecompressSync(readFileSync(join(root, "bin", "chromium.br"))));
    chmodSync(join(mine, "chromium"), 0o755);
    renameSync(mine, folder);
  } catch (error) {
    // Another process was first, and its folder is as good as ours.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(mine, { recursive: true, force: true });
  }
  return folder;
}

/**
 * A Chromium to test in: `CHROMIUM_PATH`, else the system's, else the one inside `@sparticuz/chromium`. Undefined where there
 * is none (the package has Linux x64 alone).
 */
export function findChromium(): ChromiumLaunch | undefined {
  const given = process.env["CHROMIUM_PATH"];
  if (given !== undefined && !existsSync(given)) throw new Error(`CHROMIUM_PATH names '${given}', which does not exist`);
  const executablePath = given ?? SYSTEM.find((path) => existsSync(path));
  if (executablePath !== undefined) return { executablePath, args: ARGS, env: environment({}) };
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const folder = unpack();
  return { executablePath: join(folder, "chromium"), args: ARGS, env: environment({ LD_LIBRARY_PATH: join(folder, "lib"), FONTCONFIG_PATH: join(folder, "fonts") }) };
}
