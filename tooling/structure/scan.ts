/** A source with everything blanked that is not code, line by line as before; positions stay the same. */
export interface Scanned {
  /** Comments and the text of templates blanked; strings kept. */
  readonly code: string;
  /** Strings blanked as well. */
  readonly bare: string;
}

const REGEX_MAY_FOLLOW = /(^|[=(,[!&|?{};:+\-*%<>~^]|\b(return|typeof|case|in|of|do|else|void|yield|await))\s*$/;
const blank = (text: string): string => text.replace(/[^\n]/g, " ");

/** The end of a run that starts with a quote or a slash: the position after the closing mark. */
function closing(source: string, at: number, mark: string): number {
  let inClass = false;
  for (let i = at + 1; i < source.length; i++) {
    const c = source[i];
    if (c === "\\") i++;
    else if (c === "\n") return i;
    else if (mark === "/" && c === "[") inClass = true;
    else if (c === "]") inClass = false;
    else if (c === mark && !inClass) return i + 1;
  }
  return source.length;
}

/**
 * Reads TypeScript as far as it takes to tell code from comments, strings, regular expressions and templates, nested
 * ones included. It does not parse: what it knows is where text may hide a word that only counts in code.
 */
export function scan(source: string): Scanned {
  let code = "";
  let bare = "";
  // Depth of braces inside each template's `${}` that we are in; empty outside of templates.
  const braces: number[] = [];
  const put = (text: string, keep: "both" | "code" | "none"): void => {
    code += keep === "none" ? blank(text) : text;
    bare += keep === "both" ? text : blank(text);
  };
  let at = 0;
  /** From inside a template's text to the next `${` or the closing backtick. */
  const template = (): void => {
    const start = at;
    while (at < source.length && source[at] !== "`" && !source.startsWith("${", at)) at += source[at] === "\\" ? 2 : 1;
    put(source.slice(start, at), "none");
    if (source[at] === "`") put(source[at++]!, "both");
    else if (at < source.length) {
      put(source.slice(at, at + 2), "both");
      at += 2;
      braces.push(0);
    }
  };
  while (at < source.length) {
    const c = source[at]!;
    const two = source.slice(at, at + 2);
    let end = at + 1;
    if (two === "//" || two === "/*") {
      const found = two === "//" ? source.indexOf("\n", at) : source.indexOf("*/", at + 2) + 2;
      end = found < at + 1 ? source.length : found;
      put(source.slice(at, end), "none");
    } else if (c === '"' || c === "'") {
      end = closing(source, at, c);
      put(source.slice(at, end), "code");
    } else if (c === "/" && REGEX_MAY_FOLLOW.test(bare.slice(-12))) {
      end = closing(source, at, "/");
      put(source.slice(at, end), "none");
    } else if (c === "`") {
      put(c, "both");
      at++;
      template();
      continue;
    } else {
      put(c, "both");
      const depth = braces.length - 1;
      if (c === "{" && depth >= 0) braces[depth]!++;
      if (c === "}" && depth >= 0 && braces[depth]!-- === 0) {
        braces.pop();
        at++;
        template();
        continue;
      }
    }
    at = end;
  }
  return { code, bare };
}

/** One `import`, `export … from` or `import()` with a literal specifier. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
}

const lineAt = (source: string, index: number): number => source.slice(0, index).split("\n").length;
const STATIC = /^[ \t]*(?:import|export)\b[^;'"]*?\bfrom\s*["']([^"']+)["']|^[ \t]*import\s*["']([^"']+)["']/gm;
const DYNAMIC = /\bimport\s*\(\s*["']([^"']+)["']/g;

/** What a module imports, by its scanned code. */
export function imports({ code, bare }: Scanned): Import[] {
  // A keyword that is blank in `bare` stands in a string.
  const matches = (pattern: RegExp): RegExpExecArray[] => [...code.matchAll(pattern)].filter((match) => bare.slice(match.index).trimStart().startsWith(match[0].trimStart().slice(0, 6)));
  const found = matches(STATIC).map((match) => ({
    specifier: match[1] ?? match[2]!,
    line: lineAt(code, match.index),
  }));
  return [...found, ...matches(DYNAMIC).map((match) => ({ specifier: match[1]!, line: lineAt(code, match.index) }))];
}
