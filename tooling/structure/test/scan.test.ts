import { expect, test } from "vitest";
import { imports, scan } from "../scan.ts";

const specifiers = (source: string): string[] => imports(scan(source)).map(({ specifier }) => specifier);

test("every form of import is seen, over several lines as well", () => {
  const source = `import "a";
import b from "b";
import type { C } from "c";
import {
  d,
  type E as F,
} from "d";
export * from 'e';
export { g } from "g";
const h = await import("h");
import * as i from "i";`;
  expect(specifiers(source)).toEqual(["a", "b", "c", "d", "e", "g", "i", "h"]);
  expect(imports(scan(source))[3]).toEqual({ specifier: "d", line: 4 });
});

test("what only looks like an import is not one", () => {
  expect(specifiers('// import "a"\n/* \nimport "b" */ const s = `\nimport "c"`; const t = "import(\'d\')";\nexport const from = 1;\nconst r = /import("e")/;')).toEqual([]);
});

test("code inside a template's holes is code, at any depth, and its text is not", () => {
  const { bare } = scan("const a = `wgsl ${f({ b: `inner ${wgsl`x`} }` })} default`; done");
  expect(bare).toBe("const a = `     ${f({ b: `      ${wgsl` `}  ` })}        `; done");
});

test("a slash after a value divides, after an operator it opens a regular expression", () => {
  expect(scan("x = a / b; // c").bare.trimEnd()).toBe("x = a / b;");
  expect(scan("x = /[/`]/.test(y); `z`").bare).toBe("x =       .test(y); ` `");
});

test("positions and lines survive, whatever is blanked", () => {
  const source = "a /* b\nc */ `d\n${e}` 'f\\'' // g\nh";
  for (const text of Object.values(scan(source)) as string[]) {
    expect(text).toHaveLength(source.length);
    expect(text.split("\n")).toHaveLength(4);
  }
});

test("an unfinished comment, string or template ends with the file", () => {
  for (const source of ["a /* b", 'a "b', "a `b", "a `b ${c"]) expect(scan(source).code).toHaveLength(source.length);
});
