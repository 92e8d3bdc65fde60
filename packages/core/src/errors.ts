/**
 * The error of core and of everything built on it. Recognise one by its `code`, never by `instanceof`: a tree may
 * hold two copies of core.
 */
export class PolyheadError extends Error {
  override readonly name = "PolyheadError";
  readonly code: string;
  /** What to do about it. */
  readonly fix: string;

  constructor(code: string, message: string, fix: string) {
    super(`[${code}] ${message}\n  fix: ${fix}`);
    this.code = code;
    this.fix = fix;
  }
}

/** True for any error of Polyhead, of whatever copy of whatever package; with `code`, only for that one. */
export function isPolyheadError(error: unknown, code?: string): error is Error & { readonly code: string; readonly fix: string } {
  if (!(error instanceof Error) || !("code" in error) || !("fix" in error)) return false;
  return typeof error.code === "string" && typeof error.fix === "string" && (code === undefined || error.code === code);
}
