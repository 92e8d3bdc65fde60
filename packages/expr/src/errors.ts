/**
 * Why an expression was refused. Recognise errors by this code, never by `instanceof`.
 *
 * - `EXPR_SYNTAX`    the template cannot be read
 * - `EXPR_NAME`      an unknown, clashing or ill-typed name
 * - `EXPR_TYPE`      an operator met a scalar type it does not take
 * - `EXPR_ARGUMENTS` a function met the wrong number of arguments
 * - `EXPR_CAPTURE`   a captured table with a wrong shape, or indexed wrongly
 * - `EXPR_CONSTANT`  a constant that WGSL cannot hold (infinite, NaN, overflowing, a divisor of zero)
 * - `EXPR_BOUNDS`    an index outside a captured table
 * - `EXPR_INDEX`     an index that leaves its table for variables in their ranges
 * - `EXPR_INPUT`     a value missing or ill-typed at evaluation or emission
 */
export type ExprErrorCode =
  | "EXPR_SYNTAX"
  | "EXPR_NAME"
  | "EXPR_TYPE"
  | "EXPR_ARGUMENTS"
  | "EXPR_CAPTURE"
  | "EXPR_CONSTANT"
  | "EXPR_BOUNDS"
  | "EXPR_INDEX"
  | "EXPR_INPUT";

/** Where in a template an error lies: the text as its author sees it, and an offset into it. */
export interface SourceMark {
  readonly text: string;
  readonly offset: number;
}

/** A typed refusal: a code, what was given and expected, where, and what to do. */
export class ExprError extends Error {
  readonly code: ExprErrorCode;
  /** What was given and what was expected, without code, place and fix. */
  readonly summary: string;
  readonly fix: string;
  readonly mark: SourceMark | undefined;

  constructor(code: ExprErrorCode, summary: string, fix: string, mark?: SourceMark) {
    super(`[${code}] ${summary}${mark ? underline(mark) : ""}\n  fix: ${fix}`);
    this.name = "ExprError";
    this.code = code;
    this.summary = summary;
    this.fix = fix;
    this.mark = mark;
  }

  /** The same error pointing at a place; an error that already has one keeps it. */
  at(mark: SourceMark): ExprError {
    return this.mark ? this : new ExprError(this.code, this.summary, this.fix, mark);
  }
}

/** The offending line with a caret under the offending column. */
function underline({ text, offset }: SourceMark): string {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const newline = text.indexOf("\n", offset);
  const line = text.slice(start, newline < 0 ? text.length : newline);
  const indent = line.length - line.trimStart().length;
  const column = Math.max(0, offset - start - indent);
  return `\n    ${line.trim()}\n    ${" ".repeat(column)}^`;
}
