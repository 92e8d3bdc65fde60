import { expect, it } from "vitest";
import { help, readOptions } from "../options.ts";

const read = (...args: string[]) => () => readOptions(args);
const BASE = ["--model", "m", "--prompt", "p"];

it("what the command line does not say is not there, so that the model's own choice stands", () => {
  expect(readOptions(BASE)).toEqual({ model: "m", prompt: "p", revision: undefined, tokenizer: undefined, dtype: "f32", chat: false, json: false, generation: {} });
});

it("every option of generation is read, and stops may be several", () => {
  const { generation } = readOptions([...BASE, "--tokens", "9", "--temperature", "0.5", "--top-k", "3", "--top-p", "0.9", "--min-p", "0.1", "--repetition-penalty", "1.2", "--seed", "7", "--stop", "a", "--stop=--"])!;
  expect(generation).toEqual({ tokens: 9, temperature: 0.5, topK: 3, topP: 0.9, minP: 0.1, repetitionPenalty: 1.2, seed: 7, stop: ["a", "--"] });
});

it("what is missing, misspelt or out of range is named", () => {
  expect(read("--prompt", "p")).toThrow(/ARGUMENT_VALUE.*no model was named/s);
  expect(read("--model", "m")).toThrow(/ARGUMENT_VALUE.*there is no prompt/s);
  expect(read(...BASE, "--temprature", "1")).toThrow(/ARGUMENT_UNKNOWN.*--temprature.*did you mean 'temperature'/s);
  expect(read(...BASE, "--top-k", "0")).toThrow(/ARGUMENT_NUMBER.*--top-k is '0'; expected a whole number of at least 1/s);
  expect(read(...BASE, "--dtype", "f8")).toThrow(/ARGUMENT_CHOICE.*--dtype is 'f8'; expected f32 or f16/s);
});

it("help needs nothing else, and lists every option that the reader knows", () => {
  expect(readOptions(["--help"])).toBeUndefined();
  const listed = [...help().matchAll(/^ {2}--([a-z-]+)/gm)].map((match) => match[1]!);
  let known: string[] = [];
  try {
    readOptions(["--modle", "x"]);
  } catch (error) {
    known = /known: ([^)]*)\)/.exec(String(error))![1]!.split(", ");
  }
  expect(listed.sort()).toEqual(known.sort());
});
