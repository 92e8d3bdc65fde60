import { describe, expect, it } from "vitest";
import { capture, captureDerivatives, derivative, emitWgsl, evaluate, formula, join, maskMod, program, scalar, scoreMod, substitute } from "../src/index.ts";

const slopes = capture(Float32Array.of(1, 2), [2], { name: "slopes" });
const table = capture(new Float32Array(6), [2, 3], { name: "table" });
const xs = formula({ x: "f32", i: "i32" });

function message(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

describe("a refused template shows the place", () => {
  it.each([
    [() => maskMod`q >= kx`, "[EXPR_NAME] unknown name 'kx'; expected one of b, h, q, kv\n    q >= kx\n         ^\n  fix: did you mean 'kv'?"],
    [() => maskMod`q >= kv &&`, "[EXPR_SYNTAX] unexpected the end; expected a value\n    q >= kv &&\n              ^\n"],
    [() => scoreMod`score && true`, "[EXPR_TYPE] and was given f32; expected bool\n    score && true\n          ^\n"],
    [() => scoreMod`score + ${slopes} * 2`, "[EXPR_CAPTURE] capture 'slopes' of shape [2] was given 0 indices; expected 1\n    score + ${slopes} * 2\n            ^\n"],
    [() => scoreMod`score + ${table}[h]`, "capture 'table' of shape [2, 3] was given 1 indices; expected 2"],
    [() => scoreMod`score + ${table}[h, 3]`, "[EXPR_BOUNDS] index 1 of capture 'table' is 3; expected 0 to 2"],
    [() => scoreMod`score + ${table}[h, score]`, "[EXPR_TYPE] index 1 of capture 'table' is f32; expected i32"],
    [() => scoreMod`tnh(score)`, "unknown function 'tnh'"],
    [() => scoreMod`tnh(score)`, "fix: did you mean 'tanh'?"],
    [() => scoreMod`max(score)`, "[EXPR_ARGUMENTS] max was given 1 arguments; expected 2\n    max(score)\n    ^\n"],
    [() => scoreMod`score $ 2`, "[EXPR_SYNTAX] unexpected character '$'\n    score $ 2\n          ^\n"],
    [() => scoreMod`(score`, "unexpected the end; expected ')'"],
    [() => scoreMod`score score`, "unexpected 'score'; expected an operator or the end"],
    [() => scoreMod`score = 2; score`, "'score' already has a meaning"],
    [() => scoreMod`s = 2 s`, "unexpected 's'; expected ';'"],
    [() => scoreMod`score % 2`, "[EXPR_TYPE] mod was given f32; expected i32"],
    [() => scoreMod`score + (q < kv)`, "[EXPR_TYPE] add was given bool; expected f32 or i32"],
    [() => scoreMod`0 < q < kv`, "[EXPR_TYPE] lt was given bool"],
    [() => scoreMod`q < kv`, "[EXPR_TYPE] scoreMod gave bool; expected f32\n    q < kv\n    ^\n"],
    [() => maskMod`q, kv`, "maskMod gave 2 outputs; expected 1"],
    [() => xs`x / 0`, "[EXPR_CONSTANT] div by the constant 0"],
    [() => xs`i % 0`, "[EXPR_CONSTANT] mod by the constant 0"],
    [() => xs`x * log(-1)`, "[EXPR_CONSTANT] log(-1) of constants is NaN"],
    [() => xs`x + ${Infinity}`, "[EXPR_CONSTANT] the constant Infinity is not a finite f32"],
    [() => xs`x + 1e39`, "[EXPR_CONSTANT] the constant 1e+39 is not a finite f32"],
    [() => xs`i + 65536 * 65536`, "[EXPR_CONSTANT] mul(65536, 65536) of constants overflows i32"],
    [() => xs`i + 3000000000`, "3000000000 is not an i32"],
    [() => xs`x + ${[1, 2] as unknown as number}`, "${…} holds an array; expected a number"],
  ])("case %#", (make, part) => {
    expect(message(make)).toContain(part);
  });

  it("with the caret on the line of the error", () => {
    expect(
      message(() => scoreMod`
      s = score * 2.0;
      s + qq`),
    ).toContain("\n    s + qq\n        ^\n");
  });
});

describe("a refused call names what was given and what to do", () => {
  it.each([
    [() => capture(new Float32Array(3), [2, 2], { name: "t" }), "[EXPR_CAPTURE] capture 't' has shape [2, 2] and 3 numbers"],
    [() => capture(new Int32Array(2), [2], { learned: true }), "[EXPR_CAPTURE] capture 'capture' is learned and holds integers"],
    [() => { slopes.set([1]); }, "[EXPR_CAPTURE] capture 'slopes' was given 1 numbers; expected 2"],
    [() => slopes.at(2), "[EXPR_BOUNDS] index 0 of capture 'slopes' is 2; expected 0 to 1"],
    [() => scalar(1, { name: "s" }).at(0), "capture 's' of shape [] was given 1 indices; expected 0"],
    [() => evaluate(xs`x`, { x: 1 }), "[EXPR_INPUT] variable 'i' was given undefined; expected i32"],
    [() => evaluate(xs`x`, { x: 1, i: 0.5 }), "[EXPR_INPUT] variable 'i' was given 0.5; expected i32"],
    [() => evaluate(formula({ i: "i32" })`${slopes}[i]`, { i: 2 }), "[EXPR_BOUNDS] index 0 of capture 'slopes' is 2; expected 0 to 1"],
    [() => emitWgsl(xs`x + i`, { vars: { x: "x" } }), "[EXPR_INPUT] unknown name 'i'; expected one of x"],
    [() => emitWgsl(xs`${slopes}[i]`, { vars: { i: "i" } }), "[EXPR_INPUT] the program reads capture 'slopes' and no reader was given"],
    [() => derivative(xs`x`, "z"), "[EXPR_NAME] unknown name 'z'; expected one of x, i"],
    [() => derivative(xs`x`, "i"), "[EXPR_TYPE] variable 'i' is i32; a derivative is by an f32 variable"],
    [() => derivative(xs`x < 1`, "x"), "[EXPR_TYPE] an output is bool; only numbers have a derivative"],
    [() => captureDerivatives(formula({})`${capture(Float32Array.of(1), [], { learned: true })} < 1`), "[EXPR_TYPE] an output is bool"],
    [() => join(xs`x`, formula({ x: "i32" })`x`), "[EXPR_NAME] variable 'x' is f32 in one program and i32 in another"],
    [() => substitute(xs`x`, { i: xs`x` }), "[EXPR_TYPE] variable 'i' is i32 and was replaced by f32"],
    [() => substitute(xs`x`, { y: 1 }), "[EXPR_NAME] unknown name 'y'"],
    [() => program({ y: "f32" }, xs`x`.outputs), "[EXPR_NAME] unknown name 'x'; expected one of y"],
    [() => formula({ "a b": "f32" }), "[EXPR_NAME] variable 'a b' cannot be written in a template"],
  ])("case %#", (make, part) => {
    const shown = message(make);
    expect(shown).toContain(part);
    expect(shown).toMatch(/\n {2}fix: \S/);
  });
});
