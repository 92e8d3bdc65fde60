import { PolyheadError, type BoundHook, type KernelInputs, type QkPairHook } from "@polyhead/core";
import { learnedTensors, scalarName, scoreProgram, sizesOf, type Sizes } from "@polyhead/attn-mha/kernel";
import { derived, type BufferSlice, type Scalar } from "@polyhead/gpu";
import { captureScalar, captureTensor, cast, Tensor, windowOf } from "@polyhead/tensor";
import { blockScalars, checkedOffsets, type BlockLists, type TileLimits } from "./block-lists.ts";
import { captureTables } from "./kernels/tables.ts";
import { asRows, operandOf, padHead, strideScalars } from "./operands.ts";
import type { FlashForm } from "./spec.ts";

/** A call, checked and made ready for kernels: what it is specialised by, what is bound, and the scalars. */
export interface Call extends Sizes {
  readonly form: FlashForm;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly bias: Tensor | undefined;
  /** All that the binding `tables` holds; of block lists those of queries. */
  readonly tables: Tensor | undefined;
  /** With block lists and where gradients are on: the same with those of keys. */
  readonly tablesOfKeys: Tensor | undefined;
  readonly scalars: Readonly<Record<string, Scalar>>;
}

/** q, k and v as kernels read them: k and v of one dtype, heads in fours. Differentiable. */
export function readable({ q, k, v }: Pick<KernelInputs<Tensor>, "q" | "k" | "v">): { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor } {
  const isHalf = ({ dtype, shape }: Tensor): boolean => dtype === "f16" && shape[3]! % 4 === 0;
  const make = (x: Tensor, half: boolean): Tensor => asRows(padHead(half || x.dtype === "f32" ? x : cast(x, "f32")));
  const half = isHalf(k) && isHalf(v);
  return { q: make(q, isHalf(q)), k: make(k, half), v: make(v, half) };
}

function inlineHook(hooks: readonly BoundHook<Tensor, QkPairHook>[]): QkPairHook | undefined {
  const [first, second] = hooks;
  if (second !== undefined) throw new PolyheadError("ATTN_HOOK", `${hooks.length} qk hooks to inline: ${hooks.map(({ hook }) => hook.id).join(", ")}; a fused kernel takes one`, "lower all but the last as a prepass; the planner does");
  return first?.hook;
}

/**
 * `blocks`: lists to walk by, and the rows that tiles have.
 *
 * @throws PolyheadError `ATTN_SHAPE`, `ATTN_TABLE`, `ATTN_HOOK`, `ATTN_BLOCKS`.
 */
export function callOf(inputs: KernelInputs<Tensor>, ready: Pick<Call, "q" | "k" | "v">, packed: boolean, blocks?: { readonly lists: BlockLists; readonly rows: TileLimits }): Call {
  const sizes = sizesOf(inputs);
  const { B, Hq, Hkv, group, Tq, Tk } = sizes;
  const { q, k, v } = ready;
  const { mask, score, starts, lengths, pages, bias, scale } = inputs;
  const program = scoreProgram(mask, score.map(({ hook }) => hook));
  const qk = inlineHook(inputs.qk);
  const form: FlashForm = {
    d: q.shape[3]!,
    dv: v.shape[3]!,
    halfQ: q.dtype === "f16",
    half: k.dtype === "f16",
    mask,
    program,
    qk,
    bias: bias !== undefined,
    starts: starts !== undefined,
    lengths: lengths !== undefined,
    page: pages?.size ?? 0,
    packed: packed && group > 1,
    blocks: blocks !== undefined,
  };
  const { tables, scalars } = captureTables(form);
  const learned = new Map([...learnedTensors(score), ...inputs.qk.flatMap(({ hook, params }) => hook.program.captures.flatMap((c) => (params[c.name] === undefined ? [] : [[c, params[c.name]!] as const])))]);
  const parts = [...tables.map((capture) => learned.get(capture) ?? captureTensor(q.engine, capture)), ...(starts ? [starts] : []), ...(lengths ? [lengths] : []), ...(pages ? [pages.table] : [])];
  const at = (part: Tensor): number => sizeOf(parts.slice(0, parts.indexOf(part, tables.length)));
  const [biasB = 0, biasH = 0, biasI = 0, biasJ = 0] = bias?.shape.map((n, axis) => (n === 1 ? 0 : bias.strides[axis]!)) ?? [];
  const keys = inputs.keys ?? Tk;
  return {
    ...sizes, form, q, k, v, bias,
    tables: endToEnd(blocks ? [...parts, blocks.lists.keysOf] : parts),
    tablesOfKeys: blocks && q.engine.gradEnabled ? endToEnd([...parts, blocks.lists.queriesOf]) : undefined,
    scalars: {
      queries: Tq, rows: form.packed ? group * Tq : Tq, keys, heads: Hq, kvHeads: Hkv, group, batch: B,
      ...(blocks ? checkedOffsets(blocks.lists, inputs, sizes, blocks.rows) : { qOffset: inputs.qOffset, kvOffset: inputs.kvOffset }), scale, minusInfinity: -Infinity,
      ...strideScalars("q", operandOf(q)), ...strideScalars("k", operandOf(k)), ...strideScalars("v", operandOf(v)),
      ...(starts && { startsAt: at(starts) }),
      ...(lengths && { lengthsAt: at(lengths) }),
      ...(pages && { pagesAt: at(pages.table), pages: pages.table.shape[1]! }),
      ...(blocks && { listsAt: sizeOf(parts), ...blockScalars(blocks.lists) }),
      ...(bias && { biasAt: windowOf(bias).at, biasB, biasH, biasI, biasJ }),
      ...Object.fromEntries(scalars.map((capture, n) => [scalarName(n), captureScalar(q.engine, capture)])),
    },
  };
}

const sizeOf = (parts: readonly Tensor[]): number => parts.reduce((sum, { size }) => sum + size, 0);

const asWords = (x: Tensor): Tensor => new Tensor(x.engine, x.storage.retain(), { shape: [x.size], strides: [1], offset: x.offset, dtype: "i32" });

/** All tables in one, their bits unchanged. Without the tape: kernels deliver gradients of learned tables themselves. */
function endToEnd(parts: readonly Tensor[]): Tensor | undefined {
  const [first, ...more] = parts;
  if (first === undefined) return undefined;
  const { engine } = first;
  return engine.noGrad(() => {
    if (more.length === 0) return asWords(first.contiguous());
    const all = engine.empty([sizeOf(parts)], "i32");
    let at = 0;
    for (const part of parts) {
      engine.assign(all.narrow(0, at, part.size), asWords(part.contiguous()));
      at += part.size;
    }
    return all;
  });
}

/** What every pass binds. */
export function inputSlices({ q, k, v, bias, tables }: Pick<Call, "q" | "k" | "v" | "bias" | "tables">): Record<string, BufferSlice> {
  return { q: operandOf(q).slice, k: operandOf(k).slice, v: operandOf(v).slice, ...(bias && { bias: windowOf(bias).slice }), ...(tables && { tables: tables.slice() }) };
}

/** As many key rows as one of `splits` workgroups takes. */
export const spanOf = (keys: Scalar, splits: number): Scalar => derived(keys, (n) => Math.max(1, Math.ceil(n / splits)));
