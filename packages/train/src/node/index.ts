export { openRunFolder, type RunFolder } from "./run-folder.ts";
