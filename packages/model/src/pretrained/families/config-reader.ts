import { PolyheadError } from "@polyhead/core";
import type { HfConfig } from "../family.ts";

/** A value as it stands in an error: short, whatever it is. */
const shown = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? "undefined" : text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

/**
 * Reads a `config.json` strictly: a key that is left out or null has the default of its config class, and a value that would change
 * the numbers and is not computed is an error. All methods throw `PRETRAINED_CONFIG` naming the key, its value and what is supported.
 */
export class ConfigReader {
  readonly #config: HfConfig;
  readonly #path: string;

  constructor(config: HfConfig, path = "") {
    this.#config = config;
    this.#path = path;
    if (path !== "") return;
    this.absent("quantization_config", "quantised weights are not computed; dequantise them first");
    this.only("add_cross_attention", [false], "a decoder that attends to another model is not computed");
  }

  /** A whole number of at least `least`. Several keys are spellings of one. */
  integer(keys: string | readonly string[], fallback?: number, least = 1): number {
    return this.#read(keys, fallback, (value): value is number => Number.isSafeInteger(value) && (value as number) >= least, `a whole number of at least ${least}`);
  }

  /** The same, undefined where it is left out or null. */
  optionalInteger(key: string, least = 1): number | undefined {
    return this.has(key) ? this.integer(key, undefined, least) : undefined;
  }

  number(keys: string | readonly string[], fallback?: number): number {
    return this.#read(keys, fallback, (value): value is number => typeof value === "number" && Number.isFinite(value), "a number");
  }

  optionalNumber(key: string): number | undefined {
    return this.has(key) ? this.number(key) : undefined;
  }

  boolean(keys: string | readonly string[], fallback?: boolean): boolean {
    return this.#read(keys, fallback, (value): value is boolean => typeof value === "boolean", "true or false");
  }

  /** What a word stands for. */
  word<T>(key: string, meanings: Readonly<Record<string, T>>, fallback: string): T {
    const word = this.#read(key, fallback, (value): value is string => typeof value === "string" && Object.hasOwn(meanings, value), Object.keys(meanings).map((known) => `'${known}'`).join(", "));
    return meanings[word]!;
  }

  numbers(key: string): readonly number[] {
    return this.#read(key, undefined, (value): value is readonly number[] => Array.isArray(value) && value.every((x) => typeof x === "number" && Number.isFinite(x)), "a list of numbers");
  }

  /** An object of keys of its own; empty where it is left out or null. */
  group(key: string): ConfigReader {
    const value = this.#config[key] ?? {};
    if (typeof value !== "object" || Array.isArray(value)) throw this.refuse(key, "an object");
    return new ConfigReader(value as HfConfig, `${this.#path}${key}.`);
  }

  has(key: string): boolean {
    return (this.#config[key] ?? null) !== null;
  }

  /** The keys that are given and not null. */
  get keys(): readonly string[] {
    return Object.keys(this.#config).filter((key) => this.has(key));
  }

  /** One of these values, or left out, or null. */
  only(key: string, values: readonly unknown[], why: string): void {
    if (this.has(key) && !values.includes(this.#config[key])) throw this.refuse(key, `${values.map(shown).join(" or ")}: ${why}`);
  }

  absent(key: string, why: string): void {
    if (this.has(key)) throw this.refuse(key, `null: ${why}`);
  }

  /** The error for a value that is not computed. */
  refuse(key: string, supported: string): PolyheadError {
    return new PolyheadError("PRETRAINED_CONFIG", `config.json says ${this.#path}${key} ${shown(this.#config[key])}; supported is ${supported}`, "load a model without it, or build one from a spec of your own");
  }

  #read<T>(keys: string | readonly string[], fallback: T | undefined, right: (value: unknown) => value is T, expected: string): T {
    const names = typeof keys === "string" ? [keys] : keys;
    const key = names.find((name) => this.has(name));
    if (key === undefined) {
      if (fallback !== undefined) return fallback;
      throw new PolyheadError("PRETRAINED_CONFIG", `config.json has no ${this.#path}${names[0]!}; expected ${expected}`, "use the config.json that came with the weights");
    }
    const value = this.#config[key];
    if (!right(value)) throw this.refuse(key, expected);
    return value;
  }
}
