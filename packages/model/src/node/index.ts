export { folderSink } from "./folder-sink.ts";
export { folderSource } from "./folder-source.ts";
export { loadPretrained, sourceOf } from "./load.ts";
export { readArguments, readNumber, type Arguments, type NumberRange } from "./arguments.ts";
export { GENERATION_WORDS, generationOptions } from "./generation-arguments.ts";
export { interruption, runProgram } from "./run-program.ts";
export { readTokenizer, tokenizerOf } from "./tokenizer-file.ts";
export { loadWriter, type LoadWriterOptions, type Writer } from "./load-writer.ts";
