export { readTextFile } from "./read-text-file.ts";
export { openRunFolder, type RunFolder } from "./run-folder.ts";
