import { formula } from "@polyhead/expr";
import { openNodeGpu } from "@polyhead/gpu-node";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { allTemplates } from "../src/kernels/matmul/choose.ts";
import { createEngine, explainMatmul, fromHalf, linear, matmul, templateName, toHalf, tuneMatmul, type Engine, type MatmulTemplate } from "../src/index.ts";
import { matmulReference, matrix } from "./reference/matmul.ts";

const plain = await openNodeGpu({ limits: "default", features: "none", poison: true });
const full = await openNodeGpu({ poison: true });
const engine = createEngine(plain);
const rich = createEngine(full);
afterAll(() => {
  plain.dispose();
  full.dispose();
});

const MODES = [[false, false], [false, true], [true, false], [true, true]] as const;
/** Every template that a device can run: those without subgroups at default limits and features, the others with them. */
const cases: [string, Engine, MatmulTemplate][] = [
  ...allTemplates({ subgroupSize: 0 }).filter((t) => t.kind !== "workgroup" || t.rows * t.x < 128).map((t): [string, Engine, MatmulTemplate] => [templateName(t), engine, t]),
  ...allTemplates(full.caps).filter((t) => templateName(t).includes("subgroup")).map((t): [string, Engine, MatmulTemplate] => [templateName(t), rich, t]),
];

async function agrees(on: Engine, [batches, m, n, k]: readonly [number, number, number, number], transA: boolean, transB: boolean, template?: MatmulTemplate): Promise<void> {
  const [x, y] = [uniform(batches * m * k, 1), uniform(batches * k * n, 2)];
  const a = on.tensor(x, transA ? [batches, k, m] : [batches, m, k]);
  const b = on.tensor(y, transB ? [batches, n, k] : [batches, k, n]);
  const got = await matmul(a, b, { transA, transB, ...(template && { template }) }).read();
  assertClose(got, matmulReference(batches, m, n, k, matrix(x, m, k, transA), matrix(y, k, n, transB)), { shape: [batches, m, n], label: `${transA ? "t" : "n"}${transB ? "t" : "n"} ${[batches, m, n, k].join(" ")}` });
}

describe.each(cases)("%s", (_, on, template) => {
  it("is the float64 product, at sizes that fill no tile", async () => {
    for (const [transA, transB] of MODES) {
      if (template.kind === "vector") {
        // Its rows of A lie along K, and with subgroups so do B's.
        if (transA || (template.meet === "subgroup" && !transB)) continue;
        await agrees(on, [2, 1, 37, 129], transA, transB, template);
        await agrees(on, [1, 3, 68, 64], transA, transB, template);
      } else {
        await agrees(on, [2, 37, 45, 29], transA, transB, template);
        await agrees(on, [1, 68, 76, 36], transA, transB, template);
      }
    }
  });
});

describe("matmul", () => {
  it("chooses a template for any shape, the smallest and the longest", async () => {
    for (const shape of [[1, 1, 1, 1], [3, 2, 5, 1], [1, 1, 300, 7], [1, 200, 1, 9], [2, 5, 3, 1000]] as const) {
      for (const [transA, transB] of MODES) await agrees(engine, shape, transA, transB);
      await agrees(rich, shape, false, true);
    }
  });

  it("of matrices larger than a binding is made in parts, along whichever axis runs through their memory", async () => {
    const binding = 64 * 64 * 4;
    const small = new Proxy(plain, {
      get: (gpu, key) => {
        if (key === "caps") return { ...gpu.caps, maxBindingBytes: binding };
        const value: unknown = Reflect.get(gpu, key, gpu);
        return typeof value === "function" ? (value.bind(gpu) as unknown) : value;
      },
    });
    const on = createEngine(small);
    const [byColumns, overK, byRows] = [[1, 3, 300, 20], [1, 2, 8, 700], [1, 300, 20, 3]] as const;
    await agrees(on, byColumns, false, true);
    await agrees(on, overK, false, false);
    await agrees(on, byRows, true, false);
    const [m, n, k] = [2, 700, 16];
    const [x, w, bias, residual] = [uniform(m * k, 3), uniform(n * k, 4), uniform(n, 5), uniform(m * n, 6)];
    const doubled = formula({ x: "f32" })`x + x`;
    const before = plain.stats.dispatches;
    const y = linear(on.tensor(x, [m, k]), on.tensor(w, [n, k], { dtype: "f16", requiresGrad: false }), on.tensor(bias, [n]), { activation: doubled, residual: on.tensor(residual, [m, n]) });
    expect(plain.stats.dispatches).toBeGreaterThan(before + 1);
    const rounded = Float64Array.from(w, (v) => fromHalf(toHalf(v)));
    const want = matmulReference(1, m, n, k, matrix(x, m, k), matrix(rounded, k, n, true)).map((v, i) => 2 * (v + bias[i % n]!) + residual[i]!);
    assertClose(await y.read(), want, { shape: [m, n] });
  });

  it("of no rows is empty, and over no inner length is zero", async () => {
    expect(matmul(engine.zeros([0, 3]), engine.zeros([3, 2])).shape).toEqual([0, 2]);
    expect([...(await matmul(engine.zeros([2, 0]), engine.zeros([0, 2])).read())]).toEqual([0, 0, 0, 0]);
  });

  it("reads permuted heads, expanded groups and transposes where they lie, in one dispatch", async () => {
    // q [B, T, H, D] and k [B, S, G, D] with H = G · R heads: scores of every head against its group's keys.
    const [B, T, S, G, R, D] = [2, 5, 7, 2, 3, 8];
    const [q, k] = [uniform(B * T * G * R * D, 3), uniform(B * S * G * D, 4)];
    const heads = engine.tensor(q, [B, T, G, R, D]).permute([0, 2, 3, 1, 4]);
    const keys = engine.tensor(k, [B, S, G, 1, D]).permute([0, 2, 3, 1, 4]).expand([B, G, R, S, D]);
    const before = plain.stats.dispatches;
    const scores = matmul(heads, keys.transpose(), { scale: 0.25 });
    // One product, and the poisoning of its result.
    expect(plain.stats.dispatches - before).toBe(2);
    const want = matmulReference(
      B * G * R, T, S, D,
      (z, t, d) => 0.25 * q[((Math.floor(z / (G * R)) * T + t) * G * R + (z % (G * R))) * D + d]!,
      (z, d, s) => k[((Math.floor(z / (G * R)) * S + s) * G + (Math.floor(z / R) % G)) * D + d]!,
    );
    assertClose(await scores.read(), want, { shape: [B, G, R, T, S] });
  });

  it("copies an operand that has no contiguous axis", async () => {
    const [x, y] = [uniform(2 * 4 * 5, 5), uniform(2 * 3, 6)];
    const a = engine.tensor(x, [2, 4, 5]).permute([2, 1, 0]);
    const got = await matmul(a, engine.tensor(y, [2, 3])).read();
    assertClose(got, matmulReference(5, 4, 3, 2, (z, i, c) => x[(c * 4 + i) * 5 + z]!, (_, c, j) => y[c * 3 + j]!), { shape: [5, 4, 3] });
  });

  it("writes into a strided view, and adds to what it holds", async () => {
    const [B, H, T, D, S] = [2, 3, 4, 5, 6];
    const [p, v] = [uniform(B * H * T * S, 7), uniform(B * H * S * D, 8)];
    const out = engine.full([B, T, H, D], 1);
    matmul(engine.tensor(p, [B, H, T, S]), engine.tensor(v, [B, H, S, D]), { out: out.permute([0, 2, 1, 3]), accumulate: true });
    const product = matmulReference(B * H, T, D, S, matrix(p, T, S), matrix(v, S, D));
    const want = Float64Array.from({ length: out.size }, (_, i) => {
      const [b, t, h, d] = [Math.floor(i / (T * H * D)), Math.floor(i / (H * D)) % T, Math.floor(i / D) % H, i % D];
      return 1 + product[((b * H + h) * T + t) * D + d]!;
    });
    assertClose(await out.read(), want, { shape: [B, T, H, D] });
  });

  it("takes f16 numbers on the right, at odd sizes too", async () => {
    for (const [m, n, k] of [[5, 8, 12], [3, 7, 9], [1, 33, 50]] as const) {
      for (const transB of [false, true]) {
        const [x, y] = [uniform(m * k, 9), uniform(n * k, 10)];
        const b = engine.tensor(y, transB ? [n, k] : [k, n], { dtype: "f16" });
        const rounded = Float64Array.from(y, (v) => fromHalf(toHalf(v)));
        assertClose(await matmul(engine.tensor(x, [m, k]), b, { transB }).read(), matmulReference(1, m, n, k, matrix(x, m, k), matrix(rounded, k, n, transB)), { shape: [m, n] });
      }
    }
  });

  it("gives the same bits twice", async () => {
    const [a, b] = [rich.tensor(uniform(96 * 65, 11), [96, 65]), rich.tensor(uniform(65 * 40, 12), [65, 40])];
    expect(await matmul(a, b).read()).toEqual(await matmul(a, b).read());
  });

  it("says which shapes, types and engines do not fit", () => {
    const [a, b] = [engine.zeros([2, 3]), engine.zeros([4, 5])];
    expect(() => matmul(a, b)).toThrow(/\[2, 3\] · \[4, 5\]: inner lengths 3 and 4 differ[^]*transA or transB/);
    expect(() => matmul(engine.zeros([3]), b)).toThrow(/two axes/);
    expect(() => matmul(engine.zeros([2, 1, 1]), engine.zeros([3, 1, 1]))).toThrow(/broadcast/);
    expect(() => matmul(engine.zeros([2, 2], "u32"), engine.zeros([2, 2]))).toThrow(/left operand of a product is u32/);
    expect(() => matmul(a, rich.zeros([3, 3]))).toThrow(/two engines/);
  });
});

describe("gradients of matmul", () => {
  // Batch shapes; where one is 1 or missing and the other is not, its gradient is a sum over that axis.
  const batches: [number[], number[]][] = [[[], []], [[2, 3], [2, 3]], [[2, 3], []], [[2, 3], [2, 1]], [[1, 3], [2, 1]], [[], [2, 2]], [[2, 2, 2], [1, 2, 1]]];
  it.each(batches)("reach both operands, summed over what was broadcast: %j · %j", async (batchA, batchB) => {
    const [m, n, k] = [3, 5, 6];
    const rank = Math.max(batchA.length, batchB.length);
    const pad = (batch: number[]): number[] => [...Array.from({ length: rank - batch.length }, () => 1), ...batch];
    const [pa, pb] = [pad(batchA), pad(batchB)];
    const batch = pa.map((length, i) => Math.max(length, pb[i]!));
    const total = batch.reduce((p, x) => p * x, 1);
    const place = (own: number[], z: number): number => {
      let [at, step, rest] = [0, 1, z];
      for (let axis = rank - 1; axis >= 0; axis--) {
        if (own[axis] !== 1) at += (rest % batch[axis]!) * step;
        step *= own[axis]!;
        rest = Math.floor(rest / batch[axis]!);
      }
      return at;
    };
    for (const [transA, transB] of MODES) {
      const shapes = { a: [...batchA, ...(transA ? [k, m] : [m, k])], b: [...batchB, ...(transB ? [n, k] : [k, n])] };
      const size = (shape: number[]): number => shape.reduce((p, x) => p * x, 1);
      await checkGradients(
        {
          inputs: { a: { shape: shapes.a, data: uniform(size(shapes.a), 1) }, b: { shape: shapes.b, data: uniform(size(shapes.b), 2) } },
          reference: ({ a, b }) => {
            const [left, right] = [matrix(a!, m, k, transA), matrix(b!, k, n, transB)];
            return matmulReference(total, m, n, k, (z, i, c) => 0.5 * left(place(pa, z), i, c), (z, c, j) => right(place(pb, z), c, j));
          },
          run: onEngine(engine, ({ a, b }) => matmul(a!, b!, { transA, transB, scale: 0.5 })),
        },
        { entries: 12 },
      );
    }
  });
});

describe("tuneMatmul", () => {
  it("measures the classes met so far, and products then use the winners", async () => {
    const on = createEngine(full);
    const [x, y] = [uniform(64 * 64, 1), uniform(64 * 64, 2)];
    const product = async (): Promise<ArrayLike<number>> => matmul(on.tensor(x, [64, 64]), on.tensor(y, [64, 64])).read();
    await product();
    const rows = await tuneMatmul(on, [{ m: 64, n: 64, k: 64 }], { budgetMs: 5000 });
    expect(rows).toHaveLength(1);
    const choice = explainMatmul(on).find(({ shape }) => shape === rows[0]!.shape)!;
    expect(choice).toMatchObject({ template: rows[0]!.winner, source: "measured", ms: rows[0]!.timings[0]!.ms });
    full.startProfile();
    const got = await product();
    expect((await full.stopProfile()).map(({ kernel }) => kernel).find((name) => name.startsWith("matmul"))).toBe(`matmul nn ${choice.template}`);
    assertClose(got, matmulReference(1, 64, 64, 64, matrix(x, 64, 64), matrix(y, 64, 64)), { shape: [64, 64] });
  });
});
