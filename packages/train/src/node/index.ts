export { readTextFile } from "./read-text-file.ts";
export { openRunFolder, type RunFolder, type RunFolderOptions } from "./run-folder.ts";
export { readToyArguments, type ToyArguments } from "./toy-arguments.ts";
export { trainToy, type ToyTrainingOptions } from "./train-toy.ts";
