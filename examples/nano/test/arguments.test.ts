import { expect, it } from "vitest";
import { configure, help, modelSpec, readOptions } from "../config.ts";

const read = (...args: string[]) => () => readOptions(args);

it("a misspelt value is answered with the nearest known one", () => {
  expect(read("--position", "rop")).toThrow(/ARGUMENT_CHOICE.*--position is 'rop'; expected one of rope, alibi, t5, shaw, kerple, fire, absolute, sinusoidal, none.*did you mean 'rope'/s);
  expect(read("--norm", "layre")).toThrow(/did you mean 'layer'/);
  expect(read("--size", "smal")).toThrow(/did you mean 'small'/);
});

it("a misspelt option is answered with the nearest known one", () => {
  expect(read("--postion", "rope")).toThrow(/ARGUMENT_UNKNOWN.*unknown option --postion.*did you mean 'position'/s);
  expect(read("--kv-head=1")).toThrow(/unknown option --kv-head\n.*did you mean 'kv-heads'/s);
});

it("a stray word, a missing value and a switch with a value are told apart", () => {
  expect(read("rope")).toThrow(/stray argument 'rope'/);
  expect(read("--text")).toThrow(/ARGUMENT_VALUE.*--text has no value/s);
  expect(read("--text", "--resume")).toThrow(/--text has no value/);
  expect(read("--resume=yes")).toThrow(/--resume is a switch and was given 'yes'/);
});

it("a number out of range is named with its range", () => {
  expect(read("--steps", "0")).toThrow(/ARGUMENT_NUMBER.*--steps is '0'; expected a whole number of at least 1/s);
  expect(read("--layers", "1.5")).toThrow(/--layers is '1.5'; expected a whole number/);
  expect(read("--width=-64")).toThrow(/--width is '-64'/);
  expect(read("--steps", "ten")).toThrow(/--steps is 'ten'/);
  expect(read("--rate", "0")).toThrow(/--rate is '0'; expected a number above 0/);
  expect(read("--dropout", "1")).toThrow(/--dropout is '1'; expected a number of at least 0 and below 1/);
  expect(read("--seed", "4294967296")).toThrow(/--seed is '4294967296'/);
});

it("help lists every part, every number and every switch that the reader knows", () => {
  const page = help();
  const listed = [...page.matchAll(/^ {2}--([a-z-]+)/gm)].map((match) => match[1]!);
  // The reader names what it knows when it meets an option that it does not.
  const known = /known: ([^)]*)\)/.exec(message(read("--positio", "x")))![1]!.split(", ");
  expect(listed.sort()).toEqual(known.sort());
  for (const choice of ["rope", "alibi", "t5", "shaw", "kerple", "fire", "absolute", "sinusoidal", "rms", "layer", "pre", "post", "tied", "untied", "gelu-tanh", "relu", "swiglu", "tiny", "large"]) expect(page).toMatch(new RegExp(`[ |]${choice}\\b`));
});

it("a runner's leading -- is skipped", () => {
  expect(readOptions(["--", "--steps", "7"]).numbers.steps).toBe(7);
});

it("every choice of every part makes a spec that the lab accepts", () => {
  for (const [name, choices] of Object.entries({ position: ["rope", "alibi", "t5", "shaw", "kerple", "fire", "absolute", "sinusoidal", "none"], norm: ["rms", "layer"], "norm-place": ["pre", "post"], embedding: ["tied", "untied"], "feed-forward": ["gelu", "gelu-tanh", "relu", "swiglu"] })) {
    for (const choice of choices) expect(modelSpec(configure(readOptions([`--${name}`, choice, "--kv-heads", "1"]), "tiny", 10), 80).layers, `${name} ${choice}`).toBe(2);
  }
});

function message(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return String(error);
  }
  throw new Error("nothing was thrown");
}
