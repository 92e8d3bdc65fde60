export { folderSource } from "./folder-source.ts";
export { loadPretrained, sourceOf } from "./load.ts";
