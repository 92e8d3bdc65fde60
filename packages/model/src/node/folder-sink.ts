import { isPolyheadError, PolyheadError } from "@polyhead/core";
import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { FileSink } from "../pretrained/save.ts";

/**
 * Writes into a folder, which is made where there is none. A file is written beside its place and then moved there, so that a crash
 * leaves the old one or the new one.
 *
 * @throws PolyheadError `SINK_WRITE` when it cannot be written to; what stood there before is untouched.
 */
export function folderSink(path: string): FileSink {
  return {
    write: async (name, pieces) => {
      const temporary = join(path, `.${name}.${randomUUID()}`);
      try {
        if (name !== basename(name)) throw new Error(`'${name}' leads out of the folder`);
        await mkdir(path, { recursive: true });
        const file = await open(temporary, "wx");
        try {
          for await (const piece of pieces) await file.writeFile(piece);
          await file.sync(); // the move must not reach the disk before the content does
        } finally {
          await file.close();
        }
        await rename(temporary, join(path, name));
      } catch (cause) {
        await rm(temporary, { force: true });
        // What went wrong in making the pieces is no fault of the folder.
        if (isPolyheadError(cause)) throw cause;
        throw new PolyheadError("SINK_WRITE", `cannot write '${name}' in '${path}': ${cause instanceof Error ? cause.message : String(cause)}`, "choose a folder you may write to, or free some space");
      }
    },
  };
}
