import { PolyheadError } from "@polyhead/core";
import { duplicateKey } from "@polyhead/core/safetensors";
import { readText, type FileSource } from "./source.ts";

/** Of the files that describe a model; its tables of tokens are larger. */
export const CONFIG_BYTES: number = 16 << 20;
export const TABLE_BYTES: number = 128 << 20;

/**
 * A file that holds one JSON object. A key given twice is refused, since readers differ in which one they keep.
 *
 * @param limit  bytes at most
 * @throws PolyheadError `PRETRAINED_JSON`, and what `readText` throws.
 */
export async function readJson(source: FileSource, name: string, limit: number): Promise<Readonly<Record<string, unknown>>> {
  const text = await readText(source, name, limit);
  const wrong = (what: string): PolyheadError => new PolyheadError("PRETRAINED_JSON", `'${name}' of ${source.label} ${what}`, "download the file again, or mend it");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(`is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("is not a JSON object");
  const twice = duplicateKey(text);
  if (twice !== undefined) throw wrong(`has the key '${twice}' twice in one object`);
  return value as Record<string, unknown>;
}

/** The same, undefined where there is no such file. */
export async function readJsonIfThere(source: FileSource, name: string, limit: number): Promise<Readonly<Record<string, unknown>> | undefined> {
  return (await source.has(name)) ? readJson(source, name, limit) : undefined;
}
