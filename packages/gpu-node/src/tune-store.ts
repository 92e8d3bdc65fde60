import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GpuError, useTuner, type Gpu, type TuneMode, type Tuner, type TuneRecord, type TuneStore } from "@polyhead/gpu";
import { cacheFolder } from "./swiftshader.ts";

type Records = Record<string, TuneRecord>;

function isRecord(value: unknown): value is TuneRecord {
  const { winner, timings, rejected, timer } = (typeof value === "object" && value !== null ? value : {}) as Partial<Record<keyof TuneRecord, unknown>>;
  return typeof winner === "string" && Array.isArray(timings) && timings.length > 0 && Array.isArray(rejected) && (timer === "timestamp" || timer === "wall");
}

/** What the file holds. A missing or damaged one is empty: measured again, it is whole again. */
function load(file: string): Records {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
    return Object.fromEntries(Object.entries(parsed ?? {}).filter((entry): entry is [string, TuneRecord] => isRecord(entry[1])));
  } catch {
    return {};
  }
}

/** Writes beside the file and renames into place. Does nothing where that is not allowed. */
function writeWhole(file: string, text: string): void {
  const mine = `${file}.${process.pid}-${Date.now()}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(mine, text);
  } catch {
    return;
  }
  try {
    renameSync(mine, file);
  } catch {
    rmSync(mine, { force: true });
  }
}

/**
 * Measurements of kernels on disk, in one JSON file. Writes go to a file of their own that is renamed into place, so a
 * reader never sees half of one; what another process has written meanwhile is kept.
 *
 * @param file default: `tune.json` in the user's cache folder.
 */
export function openTuneStore(file: string = join(cacheFolder(), "tune.json")): TuneStore {
  const records = load(file);
  return {
    get: (key) => records[key],
    set: (key, record) => {
      Object.assign(records, { ...load(file), ...records, [key]: record });
      // A read-only home costs a measurement at every start, not the run.
      writeWhole(file, JSON.stringify(records, null, 1));
    },
  };
}

/**
 * `POLYHEAD_TUNE`: `on` (default), `off` or `force`.
 *
 * @throws GpuError `GPU_TUNE` for anything else.
 */
export function tuneModeFromEnv(value: string | undefined = process.env["POLYHEAD_TUNE"]): TuneMode {
  if (value === undefined || value === "") return "on";
  if (value === "on" || value === "off" || value === "force") return value;
  throw new GpuError("GPU_TUNE", `POLYHEAD_TUNE is '${value}'; it may be 'on', 'off' or 'force'`, "correct or unset POLYHEAD_TUNE");
}

/** Lets a device remember measurements across runs, as `POLYHEAD_TUNE` says. Call it before the first product. */
export function tuneOnDisk(gpu: Gpu, file?: string): Tuner {
  return useTuner(gpu, { mode: tuneModeFromEnv(), store: openTuneStore(file) });
}
