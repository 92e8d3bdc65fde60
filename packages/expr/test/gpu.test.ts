import { type Gpu, defineKernel } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../src/builder.ts";
import { type Program, emitWgsl, evaluate, formula, intervalOf, program } from "../src/index.ts";
import type { OpName } from "../src/types.ts";
import { EVERY_OP, Random, SMOOTH_OPS, build, randomEnv, randomTree } from "./random-programs.ts";

const x = formula({ x: "f32" });
let gpu: Gpu;

beforeAll(async () => {
  gpu = await openNodeGpu();
});
afterAll(() => {
  gpu.dispose();
});

/** Every program at every row of f32 and i32 inputs, on the GPU: outputs[program][row]. */
async function onGpu(programs: readonly Program[], floats: Readonly<Record<string, Float32Array>>, integers: Readonly<Record<string, Int32Array>>): Promise<Float32Array[]> {
  const rows = Object.values(floats)[0]?.length ?? 0;
  const columns = [...Object.keys(floats).map((name) => ["f", name] as const), ...Object.keys(integers).map((name) => ["n", name] as const)];
  const vars = Object.fromEntries(columns.map(([table, name]) => [name, `${table}[${Object.keys(table === "f" ? floats : integers).indexOf(name)}u * params.rows + row]`]));
  const emitted = programs.map((each, i) => emitWgsl(each, { vars, prefix: `p${i}_` }));
  const helpers = Object.assign({}, ...emitted.map((each) => each.helpers)) as Record<string, string>;
  const stores = emitted.map(({ statements, results }, i) => `${statements}\ny[${i}u * params.rows + row] = f32(${results.join("")});`);
  const kernel = defineKernel({
    name: `expr-${programs.length}-${programs[0]!.key.length}`,
    bindings: { f: "read array<f32>", n: "read array<i32>", y: "write array<f32>" },
    params: { rows: "u32" },
    code: `${Object.values(helpers).join("\n")}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) { return; }
  let unused = n[0];
${stores.join("\n")}
}`,
  });
  const slice = (elements: number) => ({ buffer: gpu.pool.take(4 * Math.max(1, elements)), offset: 0, size: 4 * Math.max(1, elements) });
  const f = slice(rows * Object.keys(floats).length);
  const n = slice(rows * Object.keys(integers).length);
  const y = slice(rows * programs.length);
  gpu.write(f, Float32Array.from(Object.values(floats).flatMap((column) => [...column])));
  if (Object.keys(integers).length > 0) gpu.write(n, Int32Array.from(Object.values(integers).flatMap((column) => [...column])));
  gpu.dispatch(kernel, { f, n, y }, { rows }, [Math.ceil(rows / 64)]);
  const out = await gpu.read(y, Float32Array);
  return programs.map((_, i) => out.slice(i * rows, (i + 1) * rows));
}

const range = (low: number, high: number, count = 4001): Float32Array => Float32Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

describe("on a GPU", () => {
  it.each<[string, Program, Float32Array, number]>([
    ["erf", x`erf(x)`, range(-6, 6), 1e-7],
    ["tanh", x`tanh(x)`, range(-20, 20), 1.5e-7],
    ["sin", x`sin(x)`, range(-1000, 1000), 1e-7],
    ["cos", x`cos(x)`, range(-90000, 90000), 1e-7],
    ["sigmoid", x`sigmoid(x)`, range(-100, 100), 2e-7],
  ])("%s is as accurate as promised", async (_, made, inputs, tolerance) => {
    const [out] = await onGpu([made], { x: inputs }, {});
    const worst = Math.max(...out!.map((value, i) => Math.abs(value - evaluate(made, { x: inputs[i]! })[0]!)));
    expect(worst).toBeLessThan(tolerance);
  });

  it("tanh, erf and sin are relatively accurate near zero", async () => {
    const inputs = range(1e-4, 0.01, 500);
    const programs = [x`tanh(x)`, x`erf(x)`, x`sin(x)`];
    const outs = await onGpu(programs, { x: inputs }, {});
    for (const [p, out] of outs.entries()) {
      const worst = Math.max(...out.map((value, i) => Math.abs(value / evaluate(programs[p]!, { x: inputs[i]! })[0]! - 1)));
      expect(worst).toBeLessThan(3e-7);
    }
  });

  it("nothing that levels off overflows, and exponentials stay finite", async () => {
    const inputs = Float32Array.of(1e38, -1e38, 200, -200);
    const [tanh, sigmoid, erf, exp, exp2, sine] = await onGpu([x`tanh(x)`, x`sigmoid(x)`, x`erf(x)`, x`exp(x)`, x`exp2(x)`, x`sin(x)`], { x: inputs }, {});
    expect([...tanh!]).toEqual([1, -1, 1, -1]);
    expect([...erf!]).toEqual([1, -1, 1, -1]);
    expect([...sigmoid!].map((value) => Math.round(value))).toEqual([1, 0, 1, 0]);
    expect(exp!.every((value) => Number.isFinite(value)) && exp2!.every((value) => Number.isFinite(value))).toBe(true);
    expect(sine!.every((value) => Math.abs(value) <= 1)).toBe(true);
  });

  it("integers wrap, divide and saturate as in the oracle", async () => {
    const integers: readonly OpName[] = EVERY_OP.filter((op) => ["add", "sub", "mul", "min", "max", "neg", "abs", "sign", "idiv", "mod", "lt", "le", "eq", "and", "or", "not", "select"].includes(op));
    const vars = { q: "i32", kv: "i32" } as const;
    const random = new Random(11);
    const programs: Program[] = [formula({ q: "i32", kv: "i32" })`i32(f32(q) * 1.5)`];
    while (programs.length < 60) {
      const expr = build(new Builder(), randomTree(random, { vars, captures: [], ops: integers }, "i32", 4));
      if (expr) programs.push(program(vars, [expr]));
    }
    const samples = [0, 1, -1, 7, 65536, 2147483647, -2147483648, -3];
    const rows = samples.flatMap((q) => samples.map((kv) => ({ q, kv })));
    const outs = await onGpu(programs, { none: new Float32Array(rows.length) }, { q: Int32Array.from(rows, ({ q }) => q), kv: Int32Array.from(rows, ({ kv }) => kv) });
    for (const [p, made] of programs.entries()) {
      expect([...outs[p]!], made.key).toEqual(rows.map((env) => Math.fround(evaluate(made, env)[0]!)));
    }
  });

  it("random smooth programs have the oracle's value", async () => {
    const vars = { x: "f32", y: "f32" } as const;
    const random = new Random(12);
    const programs: Program[] = [];
    while (programs.length < 40) {
      const expr = build(new Builder(), randomTree(random, { vars, captures: [], ops: SMOOTH_OPS }, "f32", 4));
      if (expr) programs.push(program(vars, [expr]));
    }
    const rows = Array.from({ length: 64 }, () => randomEnv(random, vars));
    const outs = await onGpu(programs, { x: Float32Array.from(rows, (env) => env["x"]!), y: Float32Array.from(rows, (env) => env["y"]!) }, {});
    for (const [p, made] of programs.entries()) {
      for (const [row, env] of rows.entries()) {
        const wanted = evaluate(made, env)[0]!;
        // Rounding is bounded by the largest number on the way, not by the result.
        const scale = Math.max(1, ...evaluate(program(vars, steps(made)), env).map((value) => Math.abs(value)));
        expect(Math.abs(outs[p]![row]! - wanted) / scale, made.key).toBeLessThan(1e-5);
      }
    }
  });

  it("random programs of every operator stay in their intervals", async () => {
    const vars = { x: "f32", y: "f32", q: "i32", kv: "i32" } as const;
    const random = new Random(13);
    const programs: Program[] = [];
    while (programs.length < 60) {
      const expr = build(new Builder(), randomTree(random, { vars, captures: [], ops: EVERY_OP }, "f32", 3));
      if (expr) programs.push(program(vars, [expr]));
    }
    const boxes = Array.from({ length: 16 }, () => {
      const [low, width] = [randomEnv(random, vars), random.pick([0, 0.5, 2])];
      return (side: number): Record<string, number> => ({ x: Math.fround(low["x"]! + side * width), y: Math.fround(low["y"]! + side * width), q: low["q"]! + Math.floor(side * width), kv: low["kv"]! + Math.ceil(side * width) });
    });
    const rows = boxes.flatMap((at) => [0, 0.3, 0.7, 1].map(at));
    const column = (name: string): number[] => rows.map((env) => env[name]!);
    const outs = await onGpu(programs, { x: Float32Array.from(column("x")), y: Float32Array.from(column("y")) }, { q: Int32Array.from(column("q")), kv: Int32Array.from(column("kv")) });
    let checked = 0;
    for (const [p, made] of programs.entries()) {
      for (const [n, at] of boxes.entries()) {
        const [low, high] = [at(0), at(1)];
        const intervals = intervalOf(program(vars, steps(made)), Object.fromEntries(Object.keys(vars).map((name) => [name, [low[name]!, high[name]!] as const])));
        // Shaders may do as they like where a NaN or an infinity arises on the way.
        if (intervals.some(({ lo, hi, nan }) => nan || Math.max(-lo, hi) > 1e37)) continue;
        const [{ lo, hi } = { lo: NaN, hi: NaN }] = intervalOf(made, Object.fromEntries(Object.keys(vars).map((name) => [name, [low[name]!, high[name]!] as const])));
        for (const value of outs[p]!.subarray(4 * n, 4 * n + 4)) {
          checked++;
          expect(value >= lo && value <= hi, `${made.key} is ${value}, outside ${lo} to ${hi}`).toBe(true);
        }
      }
    }
    expect(checked).toBeGreaterThan(1500);
  });
});

function steps({ outputs }: Program): Program["outputs"] {
  const seen = new Set<Program["outputs"][number]>();
  const visit = (node: Program["outputs"][number]): void => {
    seen.add(node);
    node.args.forEach(visit);
  };
  outputs.forEach(visit);
  return [...seen];
}
