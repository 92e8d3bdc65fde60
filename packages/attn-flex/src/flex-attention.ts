import { PolyheadError, type Count, type KernelInputs, type KernelOutputs, type Mask, type Program } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { asMask } from "./as-mask.ts";
import { attend } from "./attend.ts";
import type { BlockMask } from "./block-mask.ts";
import { refuseOutside } from "./check-indices.ts";
import { checkEngine } from "./own-engine.ts";
import { bindTables, hooksOf, type ScoreMod } from "./score-mods.ts";
import { withBlockMask } from "./with-block-mask.ts";

/** Who sees whom: one of three, since no mask at all is more often forgotten than meant. `full()` sees everything. */
export type MaskChoice =
  | { readonly mask: Mask | Program; readonly maskMod?: undefined; readonly blockMask?: undefined }
  | { readonly maskMod: Mask | Program; readonly mask?: undefined; readonly blockMask?: undefined }
  | { readonly blockMask: BlockMask; readonly mask?: undefined; readonly maskMod?: undefined };

/** What {@link flexAttention} is given. */
export type FlexInputs = MaskChoice & {
  /** `[B, Hq, Tq, D]`. */
  readonly q: Tensor;
  /** `[B, Hkv, Tk, D]`; Hkv divides Hq. */
  readonly k: Tensor;
  /** `[B, Hkv, Tk, Dv]`. */
  readonly v: Tensor;
  /** Acts on scaled scores, before the mask; several act first to last. */
  readonly scoreMod?: ScoreMod;
  /** Default 1/√D. */
  readonly scale?: number;
  /** Tensors for learned captures and placeholders of score modifiers, by name; they get gradients. */
  readonly tables?: Readonly<Record<string, Tensor>>;
  /** Global position of the first query. Default 0. */
  readonly qOffset?: Count;
  /** Global position of the first key. Default 0. */
  readonly kvOffset?: Count;
  /** Added to scaled scores before modifiers: `[B|1, Hq|1, Tq, Tk]`. */
  readonly bias?: Tensor;
  /** First allowed key of each batch row, i32 `[B]`. */
  readonly starts?: Tensor;
  /** One past the last allowed key of each batch row, i32 `[B]`. */
  readonly lengths?: Tensor;
};

/**
 * Attention with modifiers of scores and masks woven into one fused kernel, forward and backward; blocks in which the mask
 * allows nothing are left out:
 *
 *     s = scoreMod(scale · q kᵀ + bias),  −∞ where the mask says no;   o = softmax(s) v,   lse = log Σ exp s
 *
 * o `[B, Hq, Tq, Dv]` and lse f32 `[B, Hq, Tq]`. Gradients reach q, k, v, the bias and all tables; the same bits on every run.
 * A query that sees no key gives 0 and −∞. The idea is FlexAttention's (Dong et al., 2024, arXiv:2412.05496).
 *
 * The blocks of a mask are told apart when it is first met and kept, by sizes and by what its captures hold. A mask that is a
 * range of keys needs none.
 *
 * @throws PolyheadError `FLEX_MASK`, `FLEX_SCORE_MOD`, `FLEX_TABLE`, `FLEX_DEVICE`, `FLEX_INDEX`, `FLEX_BLOCK_MASK`, `FLEX_STALE`,
 *   `FLEX_CAPTURES`, and those of flash attention (`ATTN_SHAPE`).
 */
export function flexAttention(inputs: FlexInputs): KernelOutputs<Tensor> {
  const { q, k, v, blockMask, bias, starts, lengths, tables = {}, qOffset = 0, kvOffset = 0 } = inputs;
  const { engine } = q;
  const mask = chosenMask(inputs);
  const hooks = hooksOf(inputs.scoreMod);
  for (const [name, tensor] of Object.entries({ k, v, bias, starts, lengths })) {
    if (tensor !== undefined) checkEngine(name, tensor, engine, "make all tensors of a call with one engine");
  }
  const [B = 1, Hq = 1, Tq = 1, D = 1] = q.shape;
  const Tk = k.shape[2] ?? 1;
  const [first, firstKey] = [numberOf(qOffset), numberOf(kvOffset)];
  if (B > 0 && Hq > 0 && Tq > 0 && Tk > 0) refuseOutside(mask, hooks.map(({ program }) => program), { batch: B, heads: Hq, q: [first, first + Tq], kv: [firstKey, firstKey + Tk] });
  const call: KernelInputs<Tensor> = {
    q, k, v, mask, qOffset, kvOffset,
    scale: inputs.scale ?? 1 / Math.sqrt(D),
    qk: [],
    score: bindTables(engine, hooks, tables),
    dropout: 0,
    ...(bias && { bias }),
    ...(starts && { starts }),
    ...(lengths && { lengths }),
  };
  return blockMask === undefined ? attend(call) : withBlockMask(call, blockMask);
}

function chosenMask({ mask, maskMod, blockMask }: FlexInputs): Mask {
  const given = Object.entries({ mask, maskMod, blockMask }).filter(([, value]) => value !== undefined).map(([name]) => name);
  if (given.length !== 1) throw new PolyheadError("FLEX_MASK", given.length === 0 ? "no mask was given" : `${given.join(" and ")} were given; expected one of them`, "pass mask: full() to see everything, or join masks with and(...) and or(...)");
  return blockMask?.mask ?? asMask((mask ?? maskMod)!);
}
