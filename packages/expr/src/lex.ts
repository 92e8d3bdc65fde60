import { type Capture, isCapture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import type { Expr } from "./expr.ts";
import { isExpr } from "./builder.ts";
import { type Program, isProgram } from "./program.ts";

/** What may stand in `${…}`: a literal, a captured table, an expression, or a program with one output. */
export type Hole = number | boolean | Capture | Expr | Program;

interface At {
  /** Offset into the text shown in messages. */
  readonly offset: number;
}

/** One token of a template. */
export type Token = At &
  (
    | { readonly kind: "number" | "name" | "mark"; readonly text: string }
    | { readonly kind: "hole"; readonly text: string; readonly hole: Hole }
    | { readonly kind: "end"; readonly text: string }
  );

/** The tokens of a template, and its text as the author sees it, holes shown by what fills them. */
export interface Lexed {
  readonly tokens: readonly Token[];
  readonly text: string;
}

const BLANK = /\s+|\/\/[^\n]*/y;
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_]\w*/y;
const MARK = /&&|\|\||[<>=!]=|[-+*/%<>!?:()[\],;=]/y;

/**
 * Splits a template into tokens.
 *
 * @throws ExprError `EXPR_SYNTAX` on a character that starts no token, or a hole with a value that has no meaning here.
 */
export function lex(strings: readonly string[], holes: readonly Hole[]): Lexed {
  const shown = holes.map((hole) => `\${${describe(hole)}}`);
  const text = strings.map((part, i) => part + (shown[i] ?? "")).join("");
  const tokens: Token[] = [];
  let start = 0;
  for (const [i, part] of strings.entries()) {
    tokens.push(...lexPart(part, start, text));
    start += part.length;
    const label = shown[i];
    if (label === undefined) continue;
    const hole = holes[i] as unknown;
    if (typeof hole !== "number" && typeof hole !== "boolean" && !isCapture(hole) && !isExpr(hole) && !isProgram(hole)) {
      throw new ExprError("EXPR_SYNTAX", `\${…} holds ${describe(hole)}; expected a number, a boolean, a capture, an expression or a program`, "wrap an array with capture(…)", { text, offset: start });
    }
    tokens.push({ kind: "hole", text: label, hole, offset: start });
    start += label.length;
  }
  tokens.push({ kind: "end", text: "the end", offset: text.trimEnd().length });
  return { tokens, text };
}

function lexPart(part: string, start: number, text: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position;
    const [found] = pattern.exec(part) ?? [];
    if (found !== undefined) position += found.length;
    return found;
  };
  while (position < part.length) {
    if (take(BLANK) !== undefined) continue;
    const offset = start + position;
    let token: string | undefined;
    if ((token = take(NUMBER)) !== undefined) tokens.push({ kind: "number", text: token, offset });
    else if ((token = take(NAME)) !== undefined) tokens.push({ kind: "name", text: token, offset });
    else if ((token = take(MARK)) !== undefined) tokens.push({ kind: "mark", text: token, offset });
    else throw new ExprError("EXPR_SYNTAX", `unexpected character '${part.charAt(position)}'`, "use the operators + - * / % < <= > >= == != && || ! ?: and functions", { text, offset });
  }
  return tokens;
}

function describe(hole: unknown): string {
  if (isCapture(hole)) return hole.name;
  if (isExpr(hole)) return "expression";
  if (isProgram(hole)) return "program";
  if (typeof hole === "number" || typeof hole === "boolean") return String(hole);
  return Array.isArray(hole) ? "an array" : hole === null ? "null" : `a ${typeof hole}`;
}
