import { PolyheadError, type KernelInputs, type KernelOutputs } from "@polyhead/core";
import { learnedTables, learnedTensors, scoreAnomalies, unfusedAttention } from "@polyhead/attn-mha/kernel";
import { linkMany, type Tensor } from "@polyhead/tensor";
import type { BlockLists, TileLimits } from "./block-lists.ts";
import { callOf, readable, type Call } from "./call.ts";
import { choose, type FlashChoice } from "./choose.ts";
import { runForward } from "./forward.ts";
import { gradientsOf } from "./gradients.ts";
import { straddles } from "./limits.ts";
import { cutHead } from "./operands.ts";
import { shapeOf, type FlashShape } from "./shape.ts";
import { isFused, templateName, tileRows, type FusedTemplate, type Pass } from "./spec.ts";

export interface FlashOptions {
  /** Forces templates, pass by pass; the rest are chosen: what was measured on this adapter, else the shipped table. */
  readonly templates?: Partial<FlashChoice>;
  /** Blocks to walk over, and no others. They leave out nothing that the mask allows, which is not asked about full ones. */
  readonly blocks?: BlockLists;
}

/**
 * Attention without scores in memory (Dao et al., 2022, arXiv:2205.14135; Dao, 2023, arXiv:2307.08691): softmax is computed
 * block by block with a running maximum and sum. Memory beside inputs and output: one number a row, and for backward another.
 *
 * q `[B, Hq, Tq, D]`, k `[B, Hkv, Tk, D]`, v `[B, Hkv, Tk, Dv]`, f32 or f16, any lengths and sizes; o `[B, Hq, Tq, Dv]` and the
 * natural log-sum-exp `[B, Hq, Tq]`, f32. Gradients reach q, k, v, the bias and tables that score hooks learn; the same bits
 * on every run. A learned bias costs an array of `[B, Hq, Tq, Tk]` in backward; a learned table, eight bytes an element.
 *
 * @throws PolyheadError `ATTN_SHAPE`, `ATTN_TABLE`, `ATTN_HOOK`, `ATTN_DROPOUT`, `ATTN_BLOCKS`.
 */
export function flashAttention(inputs: KernelInputs<Tensor>, { templates, blocks }: FlashOptions = {}): KernelOutputs<Tensor> {
  const { engine } = inputs.q;
  if (inputs.dropout > 0) throw new PolyheadError("ATTN_DROPOUT", `dropout of ${inputs.dropout} in a fused kernel`, "plan with dropout: true, which chooses the unfused kernel");
  return engine.scope(() => {
    const ready = readable(inputs);
    const shape = shapeOf(inputs, ready, blocks);
    const choice = { ...choose(engine.gpu, shape), ...templates };
    const lists = blocks && { lists: blocks, rows: tilesOf(choice, shape, engine.gradEnabled) };
    const { template, splits } = choice.forward;
    const backward = [choice.dq.template, choice.dkv.template].filter(isFused);
    // Without one fused pass, the scores are in memory anyway.
    if (!isFused(template) || (engine.gradEnabled && backward.length < 2)) return unfusedAttention(inputs);
    scoreAnomalies(inputs);
    const packed = choice.forward.packed && sharesBlocks(blocks, shape);
    const call = callOf(inputs, ready, packed, lists);
    const { o, lse } = engine.noGrad(() => engine.scope(() => runForward(call, template, splits)));
    linkBackward(inputs, call, { o, lse }, backward);
    return { o: cutHead(o, inputs.v.shape[3]!), lse };
  });
}

/** Whether the query heads of a group, as rows of one tile, walk over the same blocks. */
const sharesBlocks = (blocks: BlockLists | undefined, { tile }: FlashShape): boolean => blocks === undefined || (blocks.heads === 1 && tile?.q === Infinity);

/** The rows of the largest tiles of a choice. @throws PolyheadError `ATTN_BLOCKS` where one does not lie within blocks. */
function tilesOf(choice: FlashChoice, shape: FlashShape, backward: boolean): TileLimits {
  const rows = (pass: Pass): number => {
    const { template } = choice[pass];
    const why = straddles(template, shape, pass);
    if (why !== undefined) throw new PolyheadError("ATTN_BLOCKS", `template '${templateName(template)}' with block lists in ${pass}: ${why}; expected tiles within blocks`, "do not force it, or force a smaller one");
    return isFused(template) ? tileRows(template) : 1;
  };
  return { q: backward ? Math.max(rows("forward"), rows("dq")) : rows("forward"), k: backward ? rows("dkv") : 1 };
}

/** Hangs o and lse on the tape. */
function linkBackward(inputs: KernelInputs<Tensor>, call: Call, { o, lse }: KernelOutputs<Tensor>, [dqTemplate, dkvTemplate]: readonly FusedTemplate[]): void {
  const { engine } = o;
  const { q, k, v, bias } = call;
  const captures = learnedTables(call.form.program);
  const learned = learnedTensors(inputs.score);
  const taught = captures.map((capture) => learned.get(capture)!);
  const wanted = [q, k, v, ...(bias ? [bias] : []), ...taught];
  if (dqTemplate === undefined || dkvTemplate === undefined || !engine.gradEnabled || !wanted.some((x) => x.requiresGrad)) return;
  const kept = { q, k, v, o, lse, bias, tables: call.tables, tablesOfKeys: call.tablesOfKeys };
  const names = (Object.keys(kept) as (keyof typeof kept)[]).filter((name) => kept[name] !== undefined);
  linkMany([o, lse], {
    name: "fused attention",
    inputs: wanted,
    saves: names.map((name) => kept[name]!),
    backward: ([dO, dLse], saved) => {
      const { o, lse, ...again } = Object.fromEntries(names.map((name, n) => [name, saved[n]])) as unknown as Saved;
      const asked = { q: q.requiresGrad, k: k.requiresGrad, v: v.requiresGrad, bias: bias?.requiresGrad === true, learned: taught.some((x) => x.requiresGrad) };
      const found = gradientsOf({ ...call, ...again }, inputs, { o, lse, dO, dLse }, [dqTemplate, dkvTemplate], asked);
      return [found.dq, found.dk, found.dv, ...(bias ? [found.dBias] : []), ...captures.map((capture) => found.learned.get(capture))];
    },
  });
}

interface Saved extends Pick<Call, "q" | "k" | "v" | "bias" | "tables" | "tablesOfKeys"> {
  readonly o: Tensor;
  readonly lse: Tensor;
}
