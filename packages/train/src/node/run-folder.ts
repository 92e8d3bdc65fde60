import { PolyheadError } from "@polyhead/core";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TrainRecord } from "../trainer.ts";
import { openCheckpoint, type Checkpoint } from "../snapshot.ts";

const CHECKPOINT = "checkpoint.safetensors";
const LOG = "log.jsonl";

/** A folder that holds one run: its last checkpoint, its log, and whatever else the caller writes. */
export interface RunFolder {
  readonly path: string;
  /** Replaces a file as a whole: a reader sees the old one or the new one, and a crash leaves one of them. */
  write(name: string, content: string | Uint8Array): Promise<void>;
  saveCheckpoint(bytes: Uint8Array): Promise<void>;
  /** The last checkpoint, or undefined in a fresh folder. @throws PolyheadError `SAFETENSORS_*`, `CHECKPOINT_FORMAT`. */
  loadCheckpoint(): Promise<Checkpoint | undefined>;
  /** Adds records to `log.jsonl`, whole lines at once. */
  log(records: readonly TrainRecord[]): Promise<void>;
  /** The log so far; a last line that a crash cut short is left out. */
  readLog(): Promise<TrainRecord[]>;
  /** Drops what was logged after `step`, so that a resumed run does not tell it twice. */
  rewindLog(step: number): Promise<void>;
}

export interface RunFolderOptions {
  /** False on the ranks that leave the folder to rank 0: what writes does nothing there. Default true. */
  readonly writes?: boolean;
}

/**
 * Opens or makes a run folder.
 *
 * @throws PolyheadError `RUN_FOLDER` when it cannot be written to.
 */
export async function openRunFolder(path: string, { writes = true }: RunFolderOptions = {}): Promise<RunFolder> {
  const write = async (name: string, content: string | Uint8Array): Promise<void> => {
    if (!writes) return;
    const temporary = join(path, `.${name}.${randomUUID()}`);
    try {
      const file = await open(temporary, "wx");
      try {
        await file.writeFile(content);
        await file.sync(); // the rename must not reach the disk before the content does
      } finally {
        await file.close();
      }
      await rename(temporary, join(path, name));
    } catch (cause) {
      await rm(temporary, { force: true });
      throw unwritable(path, name, cause);
    }
  };
  const readLog = async (): Promise<TrainRecord[]> => {
    if (!existsSync(join(path, LOG))) return [];
    const lines = (await readFile(join(path, LOG), "utf8")).split("\n");
    lines.pop(); // after the last newline: nothing, or a line that was cut short
    return lines.map((line) => JSON.parse(line) as TrainRecord);
  };
  if (writes) {
    try {
      await mkdir(path, { recursive: true });
    } catch (cause) {
      throw unwritable(path, "the folder itself", cause);
    }
    await write(".probe", "");
    await rm(join(path, ".probe"));
  }
  return {
    path,
    write,
    saveCheckpoint: (bytes) => write(CHECKPOINT, bytes),
    async loadCheckpoint() {
      const file = join(path, CHECKPOINT);
      return existsSync(file) ? openCheckpoint(await readFile(file), file) : undefined;
    },
    async log(records) {
      if (!writes) return;
      try {
        await appendFile(join(path, LOG), records.map((record) => `${JSON.stringify(record)}\n`).join(""));
      } catch (cause) {
        throw unwritable(path, LOG, cause);
      }
    },
    readLog,
    async rewindLog(step) {
      const kept = (await readLog()).filter((record) => record.step <= step);
      await write(LOG, kept.map((record) => `${JSON.stringify(record)}\n`).join(""));
    },
  };
}

function unwritable(path: string, name: string, cause: unknown): PolyheadError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PolyheadError("RUN_FOLDER", `cannot write ${name} in the run folder '${path}': ${reason}`, "choose a folder you may write to, or free some space; what was saved before is untouched");
}
