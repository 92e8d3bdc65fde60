import { PolyheadError, type Lab, type ModelOf, type Plugin } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { stat } from "node:fs/promises";
import { hubSource, isHubId, type HubOptions } from "../pretrained/hub-source.ts";
import { loadPretrained as load, type LoadOptions, type Pretrained } from "../pretrained/load.ts";
import type { FileSource } from "../pretrained/source.ts";
import { folderSource } from "./folder-source.ts";

/**
 * The files of a model: of a folder where there is one of that name, else of the Hugging Face hub. What begins with a dot, a slash or
 * a drive is always a folder.
 *
 * @throws PolyheadError `SOURCE_FOLDER` when it is neither a folder nor a possible id.
 */
export async function sourceOf(where: string, hub?: HubOptions): Promise<FileSource> {
  const isFolder = (await stat(where).catch(() => undefined))?.isDirectory() === true;
  if (isFolder) return folderSource(where);
  if (isHubId(where)) return hubSource(where, hub);
  throw new PolyheadError("SOURCE_FOLDER", `'${where}' is neither a folder nor an id such as 'owner/name'`, "give the folder that holds config.json and model.safetensors, or a model's id on the hub");
}

/** `loadPretrained` of `@polyhead/model/pretrained`, which also takes the path of a folder. */
export async function loadPretrained<P extends readonly Plugin[]>(lab: Lab<P>, engine: Engine, source: FileSource | string, options: LoadOptions = {}): Promise<Pretrained<ModelOf<P>>> {
  return load(lab, engine, typeof source === "string" ? await sourceOf(source, options.hub) : source, options);
}
