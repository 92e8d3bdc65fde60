import { causal, capture, scoreHook, scoreMod, type Count, type KernelInputs } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { cast, createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { attentionStages, unfusedAttention } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [B, Hq, Hkv, Tq, D] = [2, 4, 2, 3, 5];
const plain = { mask: causal(), scale: 0.5, kvOffset: 0, qk: [], score: [], dropout: 0 } as const;
const slopes = capture(Float32Array.of(-0.5, -0.25, -0.125, -0.0625), [Hq], { name: "slopes" });
const alibi = { hook: scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (q - kv)` }), params: {} };

/** `[B, Hkv, rows, d]`, NaN from row `used` on. */
function padded(seed: number, used: number, rows: number, d: number): Float32Array {
  const values = uniform(B * Hkv * used * d, seed);
  const data = new Float32Array(B * Hkv * rows * d).fill(NaN);
  for (let plane = 0; plane < B * Hkv; plane++) data.set(values.subarray(plane * used * d, (plane + 1) * used * d), plane * rows * d);
  return data;
}

const rows = (seed: number, used: number, all = used, d = D): Tensor => engine.tensor(padded(seed, used, all, d), [B, Hkv, all, d], { requiresGrad: true });
const queries = (d = D): Tensor => engine.tensor(uniform(B * Hq * Tq * d, 1), [B, Hq, Tq, d], { requiresGrad: true });
const live = (value: number): { value: number } => ({ value });

describe("rows of k that are not in use", () => {
  for (const [name, keys] of [["a number", 7], ["a live number", live(7)]] as const) {
    it.each([{ all: 16, bias: false }, { all: 9, bias: true }])(`may hold NaN, as told by ${name}, in outputs and gradients: $all rows, bias $bias`, async ({ all, bias }) => {
      const seed = uniform(B * Hq * Tq * D, 9);
      const run = async (count: Count | undefined, length: number): Promise<ArrayLike<number>[]> => {
        const given = { q: queries(), k: rows(2, 7, length), v: rows(3, 7, length) };
        const added = Float32Array.from({ length: Tq * length }, (_, i) => (i % length < 7 ? ((i % length) + Math.floor(i / length)) / 8 : NaN));
        const out = engine.scope(() => {
          const made = unfusedAttention({ ...plain, ...given, qOffset: 4, score: [alibi], ...(count !== undefined && { keys: count }), ...(bias && { bias: engine.tensor(added, [1, 1, Tq, length]) }) });
          made.o.backward(engine.tensor(seed, made.o.shape));
          return made;
        });
        const gradients = await Promise.all([given.q, given.k, given.v].map((x) => x.grad!.narrow(2, 0, Math.min(7, x.shape[2]!)).contiguous().read()));
        return [await out.o.read(), await out.lse.read(), ...gradients];
      };
      const [want, got] = [await run(undefined, 7), await run(keys, all)];
      want.forEach((data, i) => { assertClose(got[i]!, data, { label: ["o", "lse", "dq", "dk", "dv"][i]! }); });
    });
  }

  it("are none when no row is in use: outputs 0, log-sum-exp −∞", async () => {
    for (const keys of [0, live(0)]) {
      const { o, lse } = engine.noGrad(() => unfusedAttention({ ...plain, q: queries(), k: rows(2, 0, 4), v: rows(3, 0, 4), qOffset: 0, keys }));
      expect(new Set(await o.read())).toEqual(new Set([0]));
      expect(new Set(await lse.read())).toEqual(new Set([-Infinity]));
    }
  });

  it("are told apart at every stage", async () => {
    const { masked } = attentionStages({ ...plain, q: queries(), k: rows(2, 3, 5), v: rows(3, 3, 5), qOffset: 4, keys: live(3) });
    const scores = await masked.read();
    expect(scores.every((x, i) => (i % 5 < 3 ? Number.isFinite(x) : x === -Infinity))).toBe(true);
  });

  it("and offsets are read anew for every run", async () => {
    const [keys, qOffset] = [live(4), live(3)];
    const given = { ...plain, q: queries(), k: rows(2, 8), v: rows(3, 8) };
    for (const at of [4, 6]) {
      [keys.value, qOffset.value] = [at, at - 1];
      const got = engine.noGrad(() => unfusedAttention({ ...given, keys, qOffset })).o;
      const want = engine.noGrad(() => unfusedAttention({ ...given, k: given.k.narrow(2, 0, at), v: given.v.narrow(2, 0, at), qOffset: at - 1 })).o;
      assertClose(await got.read(), await want.read(), { label: `${at} keys` });
    }
  });

  it("cannot be more than there are", () => {
    expect(() => unfusedAttention({ ...plain, q: queries(), k: rows(2, 4), v: rows(3, 4), qOffset: 0, keys: 5 })).toThrow(/ATTN_SHAPE.*keys is 5.*0 to 4/s);
  });
});

describe("keys and values in pages", () => {
  const SIZE = 16;
  const USED = 37;
  // Two sequences of three pages each, scattered over a pool of eight that holds NaN elsewhere.
  const TABLE = [[6, 1, 4], [0, 7, 2]];

  function pool(seed: number, d = D): Tensor {
    const values = padded(seed, USED, USED, d);
    const data = new Float32Array(8 * Hkv * SIZE * d).fill(NaN);
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < Hkv; h++) {
        for (let j = 0; j < USED; j++) {
          const page = TABLE[b]![Math.floor(j / SIZE)]!;
          const row = ((b * Hkv + h) * USED + j) * d;
          data.set(values.subarray(row, row + d), ((page * Hkv + h) * SIZE + (j % SIZE)) * d);
        }
      }
    }
    return engine.tensor(data, [8, Hkv, SIZE, d]);
  }

  const table = (): Tensor => engine.tensor(TABLE.flat(), [B, 3], { dtype: "i32" });
  const attend = (inputs: Pick<KernelInputs<Tensor>, "k" | "v" | "keys" | "pages">): Promise<ArrayLike<number>> => engine.noGrad(() => unfusedAttention({ ...plain, q: queries(inputs.k.shape[3]), qOffset: USED - Tq, ...inputs }).o).read();

  it.each([{ d: 5, keys: USED }, { d: 5, keys: live(USED) }, { d: 8, keys: USED }, { d: 8, keys: live(USED) }])("give the output of the same rows: $d features, keys $keys", async ({ d, keys }) => {
    const pages = { table: table(), size: SIZE };
    const plainRows = (seed: number): Tensor => rows(seed, USED, USED, d);
    const half = (x: Tensor): Tensor => cast(x, "f16");
    assertClose(await attend({ k: pool(2, d), v: pool(3, d), keys, pages }), await attend({ k: plainRows(2), v: plainRows(3) }), { label: "f32" });
    assertClose(await attend({ k: half(pool(2, d)), v: half(pool(3, d)), keys, pages }), await attend({ k: half(plainRows(2)), v: half(plainRows(3)) }), { label: "f16" });
  });

  it("name what does not fit", () => {
    const k = pool(2);
    expect(() => attend({ k, v: k, pages: { table: table(), size: 32 } })).toThrow(/ATTN_SHAPE.*pages of 32 rows in a pool of pages of 16/s);
    expect(() => attend({ k, v: k, pages: { table: engine.zeros([B, 3]), size: SIZE } })).toThrow(/ATTN_SHAPE.*page table is f32 \[2, 3\]/s);
    const taught = engine.tensor(uniform(8 * Hkv * SIZE * D, 4), [8, Hkv, SIZE, D], { requiresGrad: true });
    expect(() => unfusedAttention({ ...plain, q: queries(), k: taught, v: taught, qOffset: 0, pages: { table: table(), size: SIZE } })).toThrow(/ATTN_CACHE_GRAD/);
  });
});
