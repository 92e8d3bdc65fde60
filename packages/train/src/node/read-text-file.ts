import { PolyheadError } from "@polyhead/core";
import { readFileSync } from "node:fs";

/** A plain-text file in UTF-8. @throws PolyheadError `TEXT_FILE` when it cannot be read. */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new PolyheadError("TEXT_FILE", `cannot read the text '${path}': ${error instanceof Error ? error.message : String(error)}`, "give the path of a plain-text file");
  }
}
