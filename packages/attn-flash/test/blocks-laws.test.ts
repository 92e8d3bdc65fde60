import { and, array64, capture, causal, custom, full, maskMod, referenceAttention, scoreHook, scoreMod, window, type Mask } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, GRADIENT, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { flashAttention, type BlockLists, type FlashChoice, type FusedTemplate } from "../src/kernel.ts";
import { bruteLists } from "./brute-lists.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [HQ, HKV, T, D] = [4, 2, 96, 8];
const row: FusedTemplate = { kind: "row", threads: 16, keys: 4, staged: false };
const make = (h: number, t: number, seed: number): Tensor => engine.tensor(uniform(h * t * D, seed), [1, h, t, D]);
const [k, v] = [make(HKV, T, 2), make(HKV, T, 3)];

interface Call {
  readonly q: Tensor;
  readonly mask: Mask;
  readonly blocks: BlockLists;
  readonly qOffset?: number | { value: number };
  readonly kvOffset?: number;
  readonly choice?: Partial<FlashChoice>;
}

const attend = ({ q, mask, blocks, qOffset = 0, kvOffset = 0, choice = { forward: { template: row, splits: 1, packed: false } } }: Call): Tensor =>
  engine.noGrad(() => flashAttention({ q, k, v, mask, scale: 0.4, qOffset, kvOffset, dropout: 0, qk: [], score: [] }, { blocks, templates: choice }).o);

async function expectO(o: Tensor, q: Tensor, mask: Mask, qOffset = 0): Promise<void> {
  const of = async (x: Tensor) => array64(await x.read(), x.shape);
  const want = referenceAttention({ q: await of(q), k: await of(k), v: await of(v), mask, scale: 0.4, qOffset });
  assertClose(await o.read(), want.o.data, { shape: want.o.shape, label: `o from position ${qOffset} on` });
}

describe("block lists", () => {
  it("say alone which blocks are looked at, and full ones are not asked about", async () => {
    const odd = custom(maskMod`(q + kv) % 2 == 1`);
    const blocks = bruteLists({ engine, mask: odd, block: [16, 32], queries: 32, keys: T });
    // Of three blocks of keys: queries 0 to 15 see the middle one, whole; the next ones the last, by the mask.
    engine.upload(blocks.keysOf, Int32Array.of(1, (1 << 1) | 1, -1, -1, 1, 2 << 1, -1, -1));
    const q = make(HQ, 32, 1);
    await expectO(attend({ q, mask: odd, blocks }), q, custom(maskMod`q < 16 ? kv >= 32 && kv < 64 : kv >= 64 && (q + kv) % 2 == 1`));
  });

  it("are followed by a decode step wherever it stands, in replays too, however it is split", async () => {
    const mask = and(causal(), custom(maskMod`q - kv < 40 && (kv < 16 || kv >= 32 || q % 2 == 0)`));
    const blocks = bruteLists({ engine, mask, block: [32, 16], queries: T, keys: T });
    const q = make(HQ, 1, 4);
    const qOffset = { value: 70 };
    for (const [splits, packed] of [[1, false], [3, false], [8, true]] as const) {
      qOffset.value = 70;
      const step = engine.record(() => ({ o: attend({ q, mask, blocks, qOffset, choice: { forward: { template: row, splits, packed } } }) }));
      for (const at of [70, 3, 95, 31, 32]) {
        qOffset.value = at;
        step.replay();
        await expectO(step.outputs.o, q, mask, at);
      }
      step.dispose();
    }
  });

  it("are shared by the rows of a chunk within a block, at any offset", async () => {
    const mask = window(20);
    const blocks = bruteLists({ engine, mask, block: [32, 16], queries: T, keys: T });
    const q = make(HQ, 5, 5);
    for (const packed of [false, true]) await expectO(attend({ q, mask, blocks, qOffset: 43, choice: { forward: { template: row, splits: 2, packed } } }), q, mask, 43);
  });
});

describe("what score hooks learn along block lists", () => {
  it("is what they learn without, as long as the lists leave out nothing that is allowed", async () => {
    const table = capture(uniform(HQ * 9, 7), [HQ, 9], { name: "table", learned: true });
    const hook = scoreHook({ id: "near", program: scoreMod`score + ${table}[h, clamp(kv - q, -8, 0) + 8]` });
    const mask = custom(maskMod`idiv(kv, 16) == idiv(q, 16) || kv < 9`);
    const blocks = bruteLists({ engine, mask, block: [16, 16], queries: T, keys: T });
    const q = make(HQ, T, 8);
    const learn = async (lists?: BlockLists): Promise<ArrayLike<number>> => {
      const weights = engine.tensor(table.data, table.shape, { requiresGrad: true });
      const templates: FlashChoice = { forward: { template: row, splits: 1, packed: false }, dq: { template: row }, dkv: { template: row } };
      engine.scope(() => { flashAttention({ q, k, v, mask, scale: 0.4, qOffset: 0, kvOffset: 0, dropout: 0, qk: [], score: [{ hook, params: { table: weights } }] }, { templates, ...(lists && { blocks: lists }) }).o.backward(make(HQ, T, 9)); });
      return weights.grad!.read();
    };
    const want = await learn();
    expect(Math.max(...Array.from(want, Math.abs))).toBeGreaterThan(0.1);
    assertClose(await learn(blocks), want, { rule: GRADIENT, shape: table.shape, label: "dtable" });
  });
});

describe("block lists that do not fit are refused", () => {
  const blocks = bruteLists({ engine, mask: full(), block: [32, 64], queries: T, keys: T });
  const q = make(HQ, 40, 6);
  const refused = (call: Partial<Call>) => expect(() => attend({ q, mask: full(), blocks, ...call }));

  it("where tiles would straddle blocks, with the offset to rebuild them for", () => {
    refused({ qOffset: 8 }).toThrow(/^\[ATTN_BLOCKS\] 40 queries from position 8 on with blocks of 32 from position 0 on; .*\n.*rebuild the block mask with a qOrigin of 8/);
    refused({ kvOffset: 4 }).toThrow(/^\[ATTN_BLOCKS\] keys from position 4 on with blocks of 64/);
  });

  it("where a replay moves them off the blocks", () => {
    const qOffset = { value: 32 };
    const step = engine.record(() => ({ o: attend({ q, mask: full(), blocks, qOffset }) }));
    qOffset.value = 36;
    expect(() => { step.replay(); }).toThrow(/^\[ATTN_BLOCKS\] 40 queries from position 36 on, in tiles of 16 rows/);
    step.dispose();
  });

  it("where they cover fewer positions, or another batch", () => {
    refused({ qOffset: 64 }).toThrow(/^\[ATTN_BLOCKS\] 40 queries from position 64 on with lists for positions 0 to 95/);
    refused({ kvOffset: 64 }).toThrow(/^\[ATTN_BLOCKS\] 96 keys from position 64 on with lists for positions 0 to 127/);
    refused({ blocks: { ...blocks, batch: 3 } }).toThrow(/^\[ATTN_BLOCKS\] lists for a batch of 3 and 1 heads; expected 1 or 1, and 1 or 4/);
    refused({ blocks: { ...blocks, queryBlock: 24 } }).toThrow(/^\[ATTN_BLOCKS\] queryBlock is 24; expected a power of two from 16 to 256/);
    refused({ blocks: { ...blocks, keysOf: blocks.queriesOf } }).toThrow(/^\[ATTN_BLOCKS\] keysOf is i32 \[1, 1, 2, 4\]; expected i32 \[1, 1, 3, 3\]/);
  });

  it("where a forced template is too tall, or has all scores in memory", () => {
    refused({ choice: { forward: { template: { ...row, threads: 64 }, splits: 1, packed: false } } }).toThrow(/^\[ATTN_BLOCKS\] template 'B64 ×4' with block lists in forward: its tiles have 64 rows, of which 32 are no multiple/);
    refused({ choice: { forward: { template: { kind: "unfused" }, splits: 1, packed: false } } }).toThrow(/^\[ATTN_BLOCKS\] template 'D'/);
  });
});
