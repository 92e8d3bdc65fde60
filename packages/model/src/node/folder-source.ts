import { open, readdir, stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { PolyheadError } from "@polyhead/core";
import { missingFile, unreadable, whole, type FileSource } from "../pretrained/source.ts";

/** What one read may ask of the system at a time. */
const MOST_AT_ONCE = 1 << 30;

/**
 * A folder of this machine. Names that lead out of it are refused.
 *
 * @throws PolyheadError `SOURCE_FOLDER` when there is no such folder.
 */
export async function folderSource(path: string): Promise<FileSource> {
  const root = resolve(path);
  const there = await stat(root).catch(() => undefined);
  if (there?.isDirectory() !== true) throw new PolyheadError("SOURCE_FOLDER", `there is no folder '${path}'`, "give the folder that holds config.json and model.safetensors");

  const place = (name: string): string => {
    const file = resolve(root, name);
    if (name === "" || !file.startsWith(root.endsWith(sep) ? root : root + sep)) throw new PolyheadError("SOURCE_PATH", `the name '${name}' leads out of '${path}'`, "names of files stay in their folder");
    return file;
  };
  const sizeOf = async (name: string): Promise<number | undefined> => {
    const found = await stat(place(name)).catch(() => undefined);
    return found?.isFile() === true ? found.size : undefined;
  };
  return {
    label: path,
    has: async (name) => (await sizeOf(name)) !== undefined,
    size: async (name) => {
      const size = await sizeOf(name);
      if (size === undefined) throw missingFile(path, name);
      return size;
    },
    read: async (name, begin, end) => {
      const file = await open(place(name)).catch((cause: unknown) => {
        throw isMissing(cause) ? missingFile(path, name) : unreadable(path, name, cause);
      });
      try {
        const bytes = new Uint8Array(end - begin);
        let filled = 0;
        while (filled < bytes.length) {
          const { bytesRead } = await file.read(bytes, filled, Math.min(MOST_AT_ONCE, bytes.length - filled), begin + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
        return whole(bytes.subarray(0, filled), path, name, begin, end);
      } finally {
        await file.close();
      }
    },
    list: async () => {
      const names = (await readdir(root)).sort();
      const sizes = await Promise.all(names.map(sizeOf)); // follows links, which downloads are often kept as
      return names.filter((_, i) => sizes[i] !== undefined);
    },
  };
}

const isMissing = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT";

