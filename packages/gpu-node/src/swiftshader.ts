import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { untar } from "./untar.ts";

const LOADER = "libvulkan.so.1";
const DRIVER = "vk_swiftshader_icd.json";
const WANTED: ReadonlySet<string> = new Set([LOADER, "libvk_swiftshader.so", DRIVER]);

/** An unpacked software Vulkan: its loader and the manifest that `VK_DRIVER_FILES` names. */
export interface EmbeddedVulkan {
  readonly loader: string;
  readonly driver: string;
}

/** The user's cache folder for Polyhead: `$XDG_CACHE_HOME/polyhead`, else `~/.cache/polyhead`. */
export function cacheFolder(): string {
  // An empty variable counts as unset, as the XDG base directory rules say.
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "polyhead");
}

/** The root of the package that carries SwiftShader, or undefined where it was not installed. */
function carrier(): string | undefined {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")));
  } catch {
    return undefined;
  }
}

/**
 * Unpacks SwiftShader and its Vulkan loader into `cache`, once per version.
 *
 * Safe when many processes start at once: each unpacks into a folder of its own and renames it into place; the first
 * rename wins, and the others use what is there.
 *
 * @returns undefined on platforms that the package has no binary for (all but Linux x64), or where it is not installed.
 * @throws Error of `node:fs` when the cache folder cannot be written.
 */
export function unpackSwiftShader(cache: string = cacheFolder()): EmbeddedVulkan | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  const root = carrier();
  if (root === undefined) return undefined;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const folder = join(cache, `swiftshader-${version}`);
  const found: EmbeddedVulkan = { loader: join(folder, LOADER), driver: join(folder, DRIVER) };
  if (existsSync(folder)) return found;

  const mine = `${folder}.${process.pid}-${Date.now()}`;
  mkdirSync(mine, { recursive: true });
  try {
    for (const { name, data } of untar(brotliDecompressSync(readFileSync(join(root, "bin", "swiftshader.tar.br"))))) {
      if (WANTED.has(name)) writeFileSync(join(mine, name), data, { mode: 0o755 });
    }
    renameSync(mine, folder);
  } catch (error) {
    // Another process renamed first: its folder is as good as ours. Anything else is a real failure.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(mine, { recursive: true, force: true });
  }
  return found;
}
