export type WgslPart = string | number | boolean | readonly WgslPart[];

function print(part: WgslPart): string {
  if (typeof part === "string") return part;
  if (typeof part === "object") return part.map(print).join("\n");
  if (typeof part === "number" && !Number.isFinite(part)) throw new RangeError(`WGSL has no literal for ${part}`);
  return String(part);
}

/**
 * Marks a template as WGSL (editors highlight it) and joins its parts: numbers are printed as they are, lists line by line.
 * Common indentation stays, since compilers point at columns of this very text.
 */
export function wgsl(strings: TemplateStringsArray, ...parts: readonly WgslPart[]): string {
  return strings.reduce((text, piece, i) => text + print(parts[i - 1] ?? "") + piece);
}

/** An f32 literal that reads back as the same number. */
export function f32Literal(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`WGSL has no literal for ${value}`);
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
