import { PolyheadError, type KernelInputs, type KernelOutputs, type KeyPages } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import { dropout, matmul, type Tensor } from "@polyhead/tensor";
import { keepRows } from "./keep-rows.ts";
import { rowsInUse, widen } from "./rows-in-use.ts";
import { watchScores } from "./score-anomalies.ts";
import { scoresByStage, softmaxOfScores, type ScoreInputs } from "./score-softmax.ts";
import { withQkHooks } from "./qk-hooks.ts";

export interface Sizes {
  readonly B: number;
  readonly Hq: number;
  readonly Hkv: number;
  /** Query heads a key head. */
  readonly group: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly Dv: number;
}

function refuse(what: string, expected: string): never {
  throw new PolyheadError("ATTN_SHAPE", `${what}; expected ${expected}`, "give q [B, Hq, Tq, D], k [B, Hkv, Tk, D] and v [B, Hkv, Tk, Dv], with Hkv a divisor of Hq");
}

const show = ({ shape }: Tensor): string => `[${shape.join(", ")}]`;

/**
 * The sizes of a problem; `Tk` counts all rows of k, those of its pages where it has some, and not only those in use.
 *
 * @throws PolyheadError `ATTN_SHAPE` naming the shapes that do not fit.
 */
export function sizesOf({ q, k, v, bias, starts, lengths, keys, pages }: KernelInputs<Tensor>): Sizes {
  for (const [name, x] of Object.entries({ q, k, v })) if (x.rank !== 4) refuse(`${name} is ${show(x)}`, "4 axes");
  const [B = 0, Hq = 0, Tq = 0, D = 0] = q.shape;
  const [blocks, Hkv = 0, rows = 0, Dk] = k.shape;
  const [Bv, Hv, Tv, Dv = 0] = v.shape;
  const [Bk, Tk] = pages === undefined ? [blocks, rows] : pagedSizes(pages, rows);
  if (Bk !== B || Dk !== D) refuse(`q is ${show(q)} and k is ${show(k)}`, "the same batch and head size");
  if (Bv !== blocks || Hv !== Hkv || Tv !== rows) refuse(`k is ${show(k)} and v is ${show(v)}`, "the same batch, heads and rows");
  if (!(Hkv >= 1 && Hq % Hkv === 0)) refuse(`q has ${Hq} heads and k has ${Hkv}`, "a whole number of query heads a key head");
  const full = [B, Hq, Tq, Tk];
  if (bias !== undefined && !(bias.rank === 4 && bias.shape.every((n, axis) => n === full[axis] || n === 1))) refuse(`bias is ${show(bias)}`, `[${full.join(", ")}] with any axis 1`);
  for (const [name, x] of Object.entries({ starts, lengths })) if (x !== undefined && !(x.rank === 1 && x.size === B && x.dtype === "i32")) refuse(`${name} is ${x.dtype} ${show(x)}`, `i32 [${B}]`);
  const inUse = keys === undefined ? Tk : numberOf(keys);
  if (!(Number.isInteger(inUse) && inUse >= 0 && inUse <= Tk)) refuse(`keys is ${inUse}`, `a whole number from 0 to ${Tk}`);
  return { B, Hq, Hkv, group: Hq / Hkv, Tq, Tk, Dv };
}

function pagedSizes({ table, size }: KeyPages<Tensor>, rows: number): [number, number] {
  const [B = 0, pages = 0] = table.shape;
  if (table.rank !== 2 || table.dtype !== "i32") refuse(`the page table is ${table.dtype} ${show(table)}`, "i32 [B, pages of a sequence]");
  if (size !== rows) refuse(`pages of ${size} rows in a pool of pages of ${rows}`, "k as [pages, Hkv, size, D]");
  return [B, pages * size];
}

interface Prepared {
  readonly scores: Tensor;
  readonly v: Tensor;
  readonly sizes: Sizes;
  /** For the score kernels: bias and limits that fit the scores. */
  readonly inputs: ScoreInputs;
}

/** scale · q kᵀ `[B, Hq, Tq, Tk]`, and the values that go with it, in f32 and clean of what padding holds. */
function prepare(given: KernelInputs<Tensor>): Prepared {
  const { engine } = given.q;
  const all = sizesOf(given);
  const { loose, ...rows } = rowsInUse(given);
  const sizes = { ...all, Tk: rows.k.shape[2]! };
  const { scale, starts, lengths, qOffset, kvOffset } = given;
  const { B, Hq, Hkv, group, Tq, Tk } = sizes;
  const clean = (x: Tensor): Tensor => keepRows(x, { starts, lengths, inUse: loose ? rows.keys : undefined });
  const q = withQkHooks(widen(given.q), "q", given.qk, { offset: qOffset });
  // Scores of padding are not looked at, but dq sums over all keys.
  const k = withQkHooks(engine.gradEnabled || engine.anomalies !== undefined ? clean(rows.k) : rows.k, "k", given.qk, { offset: kvOffset });
  // The query heads of a group read one key head, so they are rows of one product: no key is copied or read twice, and
  // the sum over the group that dk needs is the product's own.
  const queries = group === 1 ? q : q.reshape([B, Hkv, group * Tq, q.shape[3]!]);
  const scores = matmul(queries, k, { transB: true, scale });
  return { scores: group === 1 ? scores : scores.reshape([B, Hq, Tq, Tk]), v: clean(rows.v), sizes, inputs: { ...without(given), ...rows } };
}

/** The inputs without what `rowsInUse` gives anew. */
function without({ mask, qOffset, kvOffset, score, starts, lengths }: KernelInputs<Tensor>): ScoreInputs {
  return { mask, qOffset, kvOffset, score, ...(starts && { starts }), ...(lengths && { lengths }) };
}

function weighted(weights: Tensor, v: Tensor, { B, Hq, Hkv, group, Tq, Tk, Dv }: Sizes): Tensor {
  if (group > 1) return matmul(weights.reshape([B, Hkv, group * Tq, Tk]), v).reshape([B, Hq, Tq, Dv]);
  // Written as [B, T, H, Dv], so that joining the heads afterwards is no copy.
  const memory = weights.engine.empty([B, Tq, Hq, Dv]);
  return matmul(weights, v, { out: memory.permute([0, 2, 1, 3]) });
}

/**
 * Attention without fusion: scores, weights and output are tensors of their own. It accepts every mask, hook, bias,
 * padding and head layout, is differentiable in all it is given, and is what fused kernels are held against.
 *
 * Memory: two arrays of `[B, Hq, Tq, Tk]` at the peak of the forward pass, one of them kept for the backward pass
 * (both, where a score hook's derivative depends on the score).
 *
 * @throws PolyheadError `ATTN_SHAPE`, `ATTN_TABLE`.
 */
export function unfusedAttention(inputs: KernelInputs<Tensor>): KernelOutputs<Tensor> {
  return inputs.q.engine.scope(() => {
    const { scores, v, sizes, inputs: told } = prepare(inputs);
    watchScores(scores, told);
    const { weights, lse } = softmaxOfScores(scores, told);
    const o = weighted(inputs.dropout > 0 ? dropout(weights, inputs.dropout) : weights, v, sizes);
    return { o, lse };
  });
}

/** {@link watchScores} for a fused kernel, whose scores are in memory only for this. */
export function scoreAnomalies(inputs: KernelInputs<Tensor>): void {
  const { engine } = inputs.q;
  const watch = engine.anomalies;
  if (watch === undefined || (inputs.score.length === 0 && inputs.bias === undefined)) return;
  engine.scope(() => {
    const { scores, inputs: told } = watch.unwatched(() => engine.noGrad(() => prepare(inputs)));
    watchScores(scores, told);
  });
}

/** The scores at each step of the order law, all `[B, Hq, Tq, Tk]`, and the outputs. */
export interface AttentionStages extends KernelOutputs<Tensor> {
  /** scale · q kᵀ, after the qk hooks. */
  readonly raw: Tensor;
  /** After bias and score hooks. */
  readonly modified: Tensor;
  /** After mask and padding: −∞ where a key is not allowed. */
  readonly masked: Tensor;
  /** exp(masked − lse); rows without an allowed key are 0. */
  readonly probabilities: Tensor;
}

/** {@link unfusedAttention} with every intermediate score kept, for inspection. Without the tape and without dropout. */
export function attentionStages(inputs: KernelInputs<Tensor>): AttentionStages {
  const { engine } = inputs.q;
  return engine.noGrad(() =>
    engine.scope(() => {
      const { scores: raw, v, sizes, inputs: told } = prepare(inputs);
      const { modified, masked } = scoresByStage(raw, told);
      const { weights: probabilities, lse } = softmaxOfScores(raw, told);
      return { raw, modified, masked, probabilities, o: weighted(probabilities, v, sizes), lse };
    }),
  );
}
