import { expect, it } from "vitest";
import { readToyArguments } from "../src/node/index.ts";

const read = (...args: string[]) => () => readToyArguments(args, { steps: 300, prompt: "Call me" });

it("a program loads or trains, never both, never neither", () => {
  expect(read("--train", "--model", "m")).toThrow(/ARGUMENT_VALUE.*exclude each other/s);
  expect(read()).toThrow(/ARGUMENT_VALUE.*nothing says what to load or train.*fix: write --model FOLDER/s);
});

it("what is not written is the program's default, and options of generation pass through", () => {
  expect(read("--train")()).toEqual({ model: undefined, tokenizer: undefined, text: undefined, steps: 300, prompt: "Call me", generation: {} });
  expect(read("--model", "m", "--prompt", "x", "--top-k", "4")()).toMatchObject({ model: "m", prompt: "x", generation: { topK: 4 } });
  expect(read("--train", "--steps", "none")).toThrow(/ARGUMENT_NUMBER.*--steps is 'none'/s);
});
