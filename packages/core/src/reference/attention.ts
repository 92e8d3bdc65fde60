import { allows } from "../masks.ts";
import { type Array64, broadcastOffset, zeros64 } from "./array.ts";
import { checkSizes, queryOffset, type ReferenceInputs, type Sizes } from "./inputs.ts";
import { hooked } from "./qk.ts";
import { querySums } from "./queries.ts";

/** The scores at each step of law 1, all `[B, Hq, Tq, Tk]`. */
export interface ScoreStages {
  /** scale · q kᵀ, after the qk hooks. */
  readonly raw: Array64;
  /** After bias and score hooks. */
  readonly modified: Array64;
  /** After additive and symbolic masks: −∞ where a key is not allowed. */
  readonly masked: Array64;
  /** exp(masked − lse); rows without an allowed key are 0. */
  readonly probabilities: Array64;
}

export interface ReferenceOutputs {
  /** `[B, Hq, Tq, Dv]`. */
  readonly o: Array64;
  /** Natural log-sum-exp of the masked scores, `[B, Hq, Tq]`; −∞ for a row with no allowed key. */
  readonly lse: Array64;
  readonly stages: ScoreStages;
}

/** Where one score is: flat index into the stages, rows of q and k, and the global positions that hooks see. */
export interface Cell {
  readonly at: number;
  readonly b: number;
  readonly h: number;
  readonly i: number;
  readonly j: number;
  readonly global: { readonly b: number; readonly h: number; readonly q: number; readonly kv: number };
}

/** Visits every score. */
export function eachCell(inputs: ReferenceInputs, { B, Hq, Tq, Tk }: Sizes, visit: (cell: Cell) => void): void {
  let at = 0;
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < Hq; h++) {
      for (let i = 0; i < Tq; i++) {
        for (let j = 0; j < Tk; j++) {
          visit({ at: at++, b, h, i, j, global: { b, h, q: queryOffset(inputs, b) + i, kv: (inputs.kvOffset ?? 0) + j } });
        }
      }
    }
  }
}

/** Whether key row j is allowed: by the mask, by padding and by the boolean mask tensor. */
function allowed(inputs: ReferenceInputs, { b, h, i, j, global }: Cell): boolean {
  const { mask, starts, lengths, keep } = inputs;
  if (j < (starts?.[b] ?? 0) || j >= (lengths?.[b] ?? Infinity)) return false;
  if (keep?.data[broadcastOffset(keep.shape, [b, h, i, j])] === 0) return false;
  return allows(mask, global);
}

/** q̂ and k̂, the rows after the qk hooks, and the scores s = scale · q̂ k̂ᵀ. */
function rawScores(inputs: ReferenceInputs, sizes: Sizes): Array64 {
  const { B, Hq, Hkv, group, Tq, Tk, D } = sizes;
  const q = hooked(inputs, "q").data;
  const k = hooked(inputs, "k").data;
  const scale = inputs.scale ?? 1 / Math.sqrt(D);
  const raw = zeros64([B, Hq, Tq, Tk]);
  eachCell(inputs, sizes, ({ at, b, h, i, j }) => {
    const row = ((b * Hq + h) * Tq + i) * D;
    const key = ((b * Hkv + Math.floor(h / group)) * Tk + j) * D;
    let dot = 0;
    for (let d = 0; d < D; d++) dot += (q[row + d] ?? 0) * (k[key + d] ?? 0);
    raw.data[at] = scale * dot;
  });
  return raw;
}

/**
 * Attention as the paper has it ("Attention Is All You Need", eq. 1), in float64, with everything that Polyhead allows
 * around it: o = softmax(mask(score hooks(scale · hook(q) hook(k)ᵀ + bias))) v.
 *
 * Laws: hooks act in order, on global positions; query head h reads key head ⌊h / group⌋; a row with no allowed key
 * gives o = 0 and lse = −∞.
 * @throws PolyheadError REF_SHAPE if the inputs do not fit each other.
 */
export function referenceAttention(inputs: ReferenceInputs): ReferenceOutputs {
  const sizes = checkSizes(inputs);
  const { B, Hq, Hkv, group, Tq, Tk, Dv } = sizes;
  const { bias, additiveMask, score = [] } = inputs;
  const full = [B, Hq, Tq, Tk];

  const raw = rawScores(inputs, sizes);
  const sums = querySums(inputs, sizes);
  const modified = zeros64(full);
  const masked = zeros64(full);
  eachCell(inputs, sizes, (cell) => {
    const { at, b, h, i, j, global } = cell;
    let s = raw.data[at] ?? 0;
    if (bias !== undefined) s += bias.data[broadcastOffset(bias.shape, [b, h, i, j])] ?? 0;
    for (const [n, hook] of score.entries()) {
      const drawn = sums[n];
      s = drawn === undefined ? hook.reference(s, global) : s + drawn(cell);
    }
    modified.data[at] = s;
    if (additiveMask !== undefined) s += additiveMask.data[broadcastOffset(additiveMask.shape, [b, h, i, j])] ?? 0;
    masked.data[at] = allowed(inputs, cell) ? s : -Infinity;
  });

  const probabilities = zeros64(full);
  const lse = zeros64([B, Hq, Tq]);
  const o = zeros64([B, Hq, Tq, Dv]);
  for (let row = 0; row < B * Hq * Tq; row++) {
    const s = masked.data.subarray(row * Tk, (row + 1) * Tk);
    const m = s.reduce((a, b) => Math.max(a, b), -Infinity);
    lse.data[row] = m === -Infinity ? -Infinity : m + Math.log(s.reduce((sum, x) => sum + Math.exp(x - m), 0));
    if (m === -Infinity) continue;
    const [b, h] = [Math.floor(row / (Hq * Tq)), Math.floor(row / Tq) % Hq];
    const values = (b * Hkv + Math.floor(h / group)) * Tk;
    for (let j = 0; j < Tk; j++) {
      const p = Math.exp((s[j] ?? 0) - (lse.data[row] ?? 0));
      probabilities.data[row * Tk + j] = p;
      // 0 · v would turn a value that nobody may see (NaN in padding) into NaN.
      if (p === 0) continue;
      for (let d = 0; d < Dv; d++) o.data[row * Dv + d] = (o.data[row * Dv + d] ?? 0) + p * (inputs.v.data[(values + j) * Dv + d] ?? 0);
    }
  }
  return { o, lse, stages: { raw, modified, masked, probabilities } };
}
