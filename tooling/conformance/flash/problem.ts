import { and, capture, causal, custom, document, full, maskMod, scoreHook, scoreMod, window, type Mask, type ScoreHook } from "@polyhead/core";
import type { Safetensors, StoredTensor } from "@polyhead/core/safetensors";
import { UnsupportedCase } from "../unsupported.ts";
import type { FlashAttributes } from "./attributes.ts";

/** A case in our terms. */
export interface FlashProblem {
  readonly mask: Mask;
  readonly score: readonly ScoreHook[];
  /** Global position of query row 0, where key row 0 is at 0. */
  readonly qOffset: number;
}

/** `[B|1, H|1, Tq|1, Tk|1]`: leading axes may be missing, and those of size 1 are read at 0. */
function maskShape({ name, shape }: StoredTensor): readonly [number, number, number, number] {
  if (shape.length > 4) throw new UnsupportedCase(`${name} of shape [${shape.join(", ")}]`);
  return [1, 1, 1, 1, ...shape].slice(-4) as [number, number, number, number];
}

/** A key is seen where the tensor is true. */
function booleanMask(stored: StoredTensor, qOffset: number): Mask {
  const shape = maskShape(stored);
  const [B, H, Q, K] = shape;
  const keep = capture(Int32Array.from(stored.numbers()), shape, { name: "keep" });
  return custom(maskMod(({ b, h, q, kv }) => keep.at(B === 1 ? 0 : b, H === 1 ? 0 : h, Q === 1 ? 0 : q.sub(qOffset), K === 1 ? 0 : kv).ne(0)));
}

/** The tensor is added to the scores. */
function additiveMask(stored: StoredTensor, qOffset: number): ScoreHook {
  const shape = maskShape(stored);
  const [B, H, Q, K] = shape;
  const added = capture(stored.floats(), shape, { name: "mask" });
  return scoreHook({ id: "mask", program: scoreMod(({ score, b, h, q, kv }) => score.add(added.at(B === 1 ? 0 : b, H === 1 ? 0 : h, Q === 1 ? 0 : q.sub(qOffset), K === 1 ? 0 : kv))) });
}

/** slope · (j − (i + Tk − Tq)): the distance counts as if the last query stood at the last key. */
function alibi(stored: StoredTensor, shift: number): ScoreHook {
  const slopes = capture(stored.floats(), [stored.size], { name: "slopes" });
  return scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (kv - q - ${shift})` });
}

/** What a case asks for, with its tables read from `file`. @throws UnsupportedCase */
export function flashProblem(attributes: FlashAttributes, file: Safetensors): FlashProblem {
  const { Tq, Tk, causal: aligned, window: sides, softcap, alibi: distance, mask, segments } = attributes;
  const qOffset = aligned === "top-left" ? 0 : Tk - Tq;
  const masks: Mask[] = [];
  const score: ScoreHook[] = [];
  if (aligned !== null) masks.push(causal());
  if (sides !== null) masks.push(window(...(sides.map((n) => (n < 0 ? Infinity : n)) as [number, number])));
  if (softcap !== null) score.push(scoreHook({ id: "softcap", program: scoreMod(({ score: s }) => s.div(softcap).tanh().mul(softcap)) }));
  if (distance) score.push(alibi(file.get("in.alibi_slopes"), Tk - Tq - qOffset));
  if (mask !== null) {
    const stored = file.get("in.mask");
    if (stored.dtype === "BOOL") masks.push(booleanMask(stored, qOffset));
    else score.push(additiveMask(stored, qOffset));
  }
  if (segments !== null) {
    const ids = file.get("in.segment_ids");
    masks.push(document(Int32Array.from(ids.numbers()), ids.shape));
  }
  return { mask: masks.length === 0 ? full() : masks.length === 1 ? masks[0]! : and(...masks), score, qOffset };
}
