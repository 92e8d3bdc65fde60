import { createLab } from "@polyhead/core";
import { loadPretrained } from "@polyhead/model/node";
import type { Pretrained } from "@polyhead/model/pretrained";
import { transformers } from "@polyhead/presets";
import type { Engine } from "@polyhead/tensor";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import type { Options } from "./options.ts";

const lab = createLab(...transformers);
export type Loaded = Pretrained<ReturnType<typeof lab.build>>;

/** A path as seen from where the command was typed. */
export const fromHere = (path: string): string => resolve(process.env["INIT_CWD"] ?? ".", path);

/** The model that was asked for, on the device. @throws PolyheadError what `loadPretrained` throws. */
export function load({ model, dtype, revision }: Options, engine: Engine, signal: AbortSignal): Promise<Loaded> {
  const folder = fromHere(model);
  return loadPretrained(lab, engine, existsSync(folder) ? folder : model, { dtype, signal, ...(revision !== undefined && { hub: { revision } }) });
}
