import type { NumberOption, NumbersOption, OptionSpec } from "./contracts/options.ts";
import { PolyheadError } from "./errors.ts";
import { suggest } from "./nearest.ts";

/** A value as it may stand in an error message: short, quoted, and never throwing. */
export function show(value: unknown): string {
  if (typeof value === "string") return `'${value}'`;
  if (typeof value === "object" && value !== null) {
    let text: string;
    try {
      text = JSON.stringify(value);
    } catch {
      text = Object.prototype.toString.call(value);
    }
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
  }
  return typeof value === "function" ? "a function" : String(value);
}

const wanted = (option: OptionSpec): string => {
  if (option.type === "choice") return `one of ${option.choices.map((choice) => `'${choice}'`).join(", ")}`;
  if (option.type === "boolean" || option.type === "string") return `a ${option.type}`;
  if (option.type === "group") return `an object of ${Object.keys(option.options).join(", ")}`;
  const noun = option.type === "numbers" ? "a list of numbers, each" : option.type === "integer" ? "an integer" : "a number";
  if (option.min !== undefined && option.max !== undefined) return `${noun} from ${String(option.min)} to ${String(option.max)}`;
  if (option.min !== undefined) return `${noun} of at least ${String(option.min)}`;
  return option.max === undefined ? noun : `${noun} of at most ${String(option.max)}`;
};

const inRange = (value: number, { min = -Infinity, max = Infinity }: NumberOption | NumbersOption): boolean => value >= min && value <= max;

/**
 * Checks one value against its option and returns it; a group comes back with its defaults filled in.
 * @throws PolyheadError CONFIG_TYPE (not of the type), CONFIG_RANGE (a number out of bounds), CONFIG_CHOICE (not in the list), and what
 * {@link resolveConfig} throws.
 */
export function checkOption(path: string, option: OptionSpec, value: unknown): unknown {
  const given = `${path} is ${show(value)}; expected ${wanted(option)}`;
  const fix = `set ${path} to ${wanted(option)} (${option.doc})`;
  if (option.type === "group") return resolveConfig(path, option.options, value);
  if (option.type === "numbers") {
    if (!(Array.isArray(value) && value.every((x): x is number => typeof x === "number" && Number.isFinite(x)))) throw new PolyheadError("CONFIG_TYPE", given, fix);
    if (!value.every((x) => inRange(x, option))) throw new PolyheadError("CONFIG_RANGE", given, fix);
  } else if (option.type === "integer" || option.type === "number") {
    if (typeof value !== "number" || !Number.isFinite(value)) throw new PolyheadError("CONFIG_TYPE", given, fix);
    if (option.type === "integer" && !Number.isInteger(value)) throw new PolyheadError("CONFIG_TYPE", given, fix);
    if (!inRange(value, option)) throw new PolyheadError("CONFIG_RANGE", given, fix);
  } else if (option.type === "choice") {
    if (typeof value !== "string") throw new PolyheadError("CONFIG_TYPE", given, fix);
    if (!option.choices.includes(value)) throw new PolyheadError("CONFIG_CHOICE", given, suggest(value, option.choices));
  } else if (typeof value !== option.type) {
    throw new PolyheadError("CONFIG_TYPE", given, fix);
  }
  return value;
}

/** An object as JSON or a literal gives it: not null, not an array, not a class of somebody else's. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws PolyheadError CONFIG_TYPE if `given` is not an object. */
export function asRecord(path: string, given: unknown): Record<string, unknown> {
  if (isRecord(given)) return given;
  throw new PolyheadError("CONFIG_TYPE", `${path} is ${show(given)}; expected an object`, `write ${path} as { ... }`);
}

/** @throws PolyheadError CONFIG_UNKNOWN_KEY naming the nearest known key. */
export function refuseUnknownKeys(path: string, given: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const where = path === "" ? key : `${path}.${key}`;
    throw new PolyheadError(
      "CONFIG_UNKNOWN_KEY",
      `unknown key '${where}' (value ${show(given[key])}); expected ${known.length === 0 ? "no keys here" : "a known key"}`,
      suggest(key, known),
    );
  }
}

/**
 * Validates `given` against `options` and fills in defaults. A key whose value is undefined counts as left out.
 * `path` names the place in error messages (`attention`, or '' for the top level).
 * @returns a frozen object with the given and the defaulted keys only.
 * @throws PolyheadError CONFIG_UNKNOWN_KEY, CONFIG_TYPE, CONFIG_RANGE, CONFIG_CHOICE, CONFIG_MISSING.
 */
export function resolveConfig(
  path: string,
  options: Readonly<Record<string, OptionSpec>>,
  given: unknown,
): Readonly<Record<string, unknown>> {
  const record = asRecord(path === "" ? "the config" : path, given);
  refuseUnknownKeys(path, record, Object.keys(options));
  const resolved: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(options)) {
    const where = path === "" ? key : `${path}.${key}`;
    const value = record[key] === undefined ? option.default : record[key];
    if (value !== undefined) resolved[key] = checkOption(where, option, value);
    else if (option.required === true) {
      throw new PolyheadError("CONFIG_MISSING", `${where} is missing; expected ${wanted(option)}`, `add ${where} (${option.doc})`);
    }
  }
  return Object.freeze(resolved);
}
