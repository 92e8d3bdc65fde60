import { parseArgs } from "node:util";
import { PolyheadError, suggest } from "@polyhead/core";

/** A command line as it was written: words by option, and the switches that are on. */
export interface Arguments {
  /** The last word that each option was given. */
  readonly words: Readonly<Partial<Record<string, string>>>;
  /** All of them, in order. */
  readonly lists: Readonly<Partial<Record<string, readonly string[]>>>;
  readonly flags: ReadonlySet<string>;
}

/**
 * Splits a command line into `--name value` pairs and switches. A `--` in front is what some runners leave there, and is skipped.
 *
 * @throws PolyheadError `ARGUMENT_UNKNOWN` for an option that does not exist, naming the nearest; `ARGUMENT_VALUE` for one that lacks its value.
 */
export function readArguments(args: readonly string[], wordNames: readonly string[], flagNames: readonly string[] = []): Arguments {
  const names = [...wordNames, ...flagNames];
  const options = Object.fromEntries(names.map((name) => [name, { type: flagNames.includes(name) ? ("boolean" as const) : ("string" as const) }]));
  const { tokens } = parseArgs({ args: args[0] === "--" ? args.slice(1) : [...args], options, strict: false, tokens: true, allowPositionals: true });
  const words: Record<string, string> = {};
  const lists: Record<string, string[]> = {};
  const flags = new Set<string>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw new PolyheadError("ARGUMENT_UNKNOWN", `stray argument '${token.value}'`, "options start with --; see --help");
    const { name, value } = token;
    if (!names.includes(name)) throw new PolyheadError("ARGUMENT_UNKNOWN", `unknown option ${token.rawName}`, suggest(name, names));
    if (flagNames.includes(name)) {
      if (value !== undefined) throw new PolyheadError("ARGUMENT_VALUE", `--${name} is a switch and was given '${value}'`, `write --${name} alone`);
      flags.add(name);
    } else if (value === undefined || value === "" || (!token.inlineValue && value.startsWith("--"))) {
      throw new PolyheadError("ARGUMENT_VALUE", `--${name} has no value`, `write --${name} VALUE, or --${name}=VALUE where it starts with dashes; see --help`);
    } else {
      words[name] = value;
      (lists[name] ??= []).push(value);
    }
  }
  return { words, lists, flags };
}

/** What a number may be. */
export interface NumberRange {
  readonly least: number;
  /** Exclusive. */
  readonly below?: number;
  readonly whole?: boolean;
  /** `least` itself is not allowed. */
  readonly above?: boolean;
}

/** The number that `text` writes. @throws PolyheadError `ARGUMENT_NUMBER` when it is none, or out of range. */
export function readNumber(name: string, text: string, { least, below = Infinity, whole = false, above = false }: NumberRange, doc: string): number {
  const value = Number(text);
  const fits = Number.isFinite(value) && (above ? value > least : value >= least) && value < below && (!whole || Number.isSafeInteger(value));
  if (fits) return value;
  const range = `${above ? "above" : "of at least"} ${least}${below === Infinity ? "" : ` and below ${below}`}`;
  throw new PolyheadError("ARGUMENT_NUMBER", `--${name} is '${text}'; expected a ${whole ? "whole " : ""}number ${range}`, `--${name} is the ${doc}`);
}
