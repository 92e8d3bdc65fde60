import { describe, expect, it } from "vitest";
import { bindHooks, capture, embedHook, hookParams, pairHook, scalar, scoreHook, scoreMod, sortHooks } from "../src/index.ts";
import { alibiHook, qkNormHook, ropeHook, softcapHook } from "./fixtures.ts";

const table = capture(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3], { learned: true, name: "bias" });
const relative = scoreHook({ id: "relative", program: scoreMod`score + ${table}[h, clamp(kv - q, -1, 1) + 1]` });

describe("a score hook reads off its program", () => {
  it.each([
    ["a sum", scoreMod`score + f32(q)`, true],
    ["a difference", scoreMod`score - 2.0 * f32(abs(q - kv))`, true],
    ["a table", scoreMod`score + ${table}[h, 0]`, true],
    ["a scaling", scoreMod`score * 2.0`, false],
    ["a sum that also scales elsewhere", scoreMod`score + f32(q) * score`, false],
    ["a cap", scoreMod`tanh(score)`, false],
    ["a choice of scores", scoreMod`q > kv ? score : 0.0`, false],
    ["a negation", scoreMod`f32(q) - score`, false],
  ])("whether it is additive: %s", (_, program, additive) => {
    expect(scoreHook({ id: "x", program }).additive).toBe(additive);
  });

  it("what it learns, under the capture's name and from its data", () => {
    expect(relative.learned).toBe(true);
    expect(relative.params).toEqual({ bias: { shape: [2, 3], init: { kind: "values", data: Float32Array.of(1, 2, 3, 4, 5, 6) }, decay: true } });
    expect(scoreHook({ id: "x", program: scoreMod`score * ${scalar(2)}` }).learned).toBe(false);
  });

  it("its law", () => {
    expect(relative.reference(0.5, { b: 0, h: 1, q: 3, kv: 9 })).toBe(6.5);
  });

  it("refuses a program of other variables, and two learned captures of one name", () => {
    expect(() => scoreHook({ id: "x", program: ropeHook(4).program })).toThrow("[HOOK_PROGRAM] the program of hook 'x' is of (x0, x1, position, pair, head); expected (score, b, h, q, kv)\n  fix: write it with scoreMod");
    const twin = capture(Float32Array.of(1), [1], { learned: true, name: "bias" });
    expect(() => scoreHook({ id: "x", program: scoreMod`score + ${table}[h, 0] + ${twin}[0]` })).toThrow("[HOOK_CAPTURE] two learned captures are named 'bias'");
  });
});

describe("a pair hook", () => {
  it("turns the pairs of its layout and passes the rest on", () => {
    const x = Float64Array.of(1, 2, 3, 4, 5, 6);
    const angles = [1, 10000 ** -0.5].map((frequency) => 7 * frequency);
    const turn = (a: number, b: number, pair: number): [number, number] => {
      const t = angles[pair] ?? 0;
      return [a * Math.cos(t) - b * Math.sin(t), a * Math.sin(t) + b * Math.cos(t)];
    };
    const [a, c] = turn(1, 3, 0);
    const [b, d] = turn(2, 4, 1);
    const half = ropeHook(4).reference(x, 7, 0);
    [a, b, c, d, 5, 6].forEach((want, i) => expect(half[i]).toBeCloseTo(want, 12));
    const interleaved = ropeHook(4, "interleaved").reference(x, 7, 0);
    [...turn(1, 2, 0), ...turn(3, 4, 1), 5, 6].forEach((want, i) => expect(interleaved[i]).toBeCloseTo(want, 12));
    expect([...x]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("pulls gradients back by the transposed rotation", () => {
    const hook = ropeHook(4);
    const [x, g] = [Float64Array.of(1, -2, 3, 0.5), Float64Array.of(0.3, 0.1, -0.7, 2)];
    const back = hook.pullback(x, 5, 0, hook.reference(g, 5, 0));
    back.forEach((value, i) => expect(value).toBeCloseTo(g[i] ?? NaN, 12));
  });

  it("refuses an odd size, and a head that is too small", () => {
    const { program } = ropeHook(4);
    expect(() => pairHook({ id: "rope", program, layout: "half", rotaryDim: 5 })).toThrow("[HOOK_ROTARY] rotaryDim of hook 'rope' is 5; expected an even number of at least 2");
    expect(() => ropeHook(8).reference(new Float64Array(6), 0, 0)).toThrow("[HOOK_ROTARY] hook 'rope' turns 8 elements of a head of 6");
    expect(() => pairHook({ id: "x", program: alibiHook.program, layout: "half", rotaryDim: 4 })).toThrow("[HOOK_PROGRAM]");
  });
});

describe("an embed hook", () => {
  it("scales the token and adds the row of its global position", () => {
    const hook = embedHook({ id: "table", table: { shape: [3, 2], init: "zeros", decay: true }, tokenScale: 10 });
    expect([...hook.reference(Float64Array.of(1, 2), 2, { table: Float64Array.of(1, 2, 3, 4, 5, 6) })]).toEqual([15, 26]);
  });
});

describe("hooks of a model", () => {
  const tensor = { shape: [2, 3], dtype: "f32" };

  it("store their parameters under their id and get them back under their own names", () => {
    const hooks = [softcapHook, relative];
    expect(Object.keys(hookParams(hooks))).toEqual(["relative.bias"]);
    expect(bindHooks(hooks, { "relative.bias": tensor })).toEqual([
      { hook: softcapHook, params: {} },
      { hook: relative, params: { bias: tensor } },
    ]);
    expect(() => bindHooks(hooks, {})).toThrow("[HOOK_PARAM] no tensor for 'relative.bias', which hook 'relative' declares");
  });

  it("are sorted by what the plan says, and only if it says something", () => {
    const rope = ropeHook(4);
    const bound = bindHooks([qkNormHook, rope, relative, softcapHook], { "relative.bias": tensor });
    const [first, second, third, fourth] = bound as never[];
    const how = { "qk-norm": "prepass", rope: "inline", relative: "tensor", softcap: "inline" } as const;
    expect(sortHooks(bound as never, how)).toEqual({ prepass: [first], qk: [second], tensor: [third], score: [fourth] });
    expect(() => sortHooks(bound as never, { rope: "inline" })).toThrow("[HOOK_UNPLANNED] the plan does not say how to lower hook 'qk-norm'; it knows: rope");
  });
});
