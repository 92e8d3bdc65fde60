import { attentionStages, type AttentionStages } from "@polyhead/attn-mha";
import { and, capture, causal, custom, full, maskMod, scoreHook, scoreMod, window, type Mask, type ScoreHook } from "@polyhead/core";
import type { StoredTensor } from "@polyhead/core/safetensors";
import { concat, type Tensor } from "@polyhead/tensor";
import { attribute, optional, required, upload, type OnnxAnswer, type OnnxCall, type OnnxOperator } from "./operator.ts";
import { attentionLab, loweringOf } from "../kernels.ts";
import { UnsupportedCase } from "../unsupported.ts";

/** `[B, T, H·D]` or `[B, H, T, D]` to `[B, H, T, D]`. */
function heads(call: OnnxCall, slot: number, attributeName: string): Tensor {
  const x = upload(call, slot);
  if (x.rank === 4) return x;
  const count = attribute(call, attributeName, 0);
  if (x.rank !== 3 || count <= 0) throw new UnsupportedCase(`input ${slot} of ${x.rank} axes without ${attributeName}`);
  return x.reshape([x.shape[0]!, x.shape[1]!, count, -1]).permute([0, 2, 1, 3]);
}

interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly Tq: number;
  readonly Tk: number;
}

/** The mask input broadcast to `[B, H, Tq, Tk]`; keys that it is too short for are forbidden (`outside`). */
function spread(stored: StoredTensor, { B, H, Tq, Tk }: Sizes, outside: number): Float64Array {
  const numbers = stored.numbers();
  const shape = [1, 1, 1, 1, ...stored.shape].slice(-4) as [number, number, number, number];
  const [b1, h1, q1, k1] = shape;
  const all = new Float64Array(B * H * Tq * Tk);
  let at = 0;
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let q = 0; q < Tq; q++)
        for (let k = 0; k < Tk; k++) {
          const key = k1 === 1 && Tk > 1 && stored.shape.at(-1) === 1 ? 0 : k;
          const row = ((b1 === 1 ? 0 : b) * h1 + (h1 === 1 ? 0 : h)) * q1 + (q1 === 1 ? 0 : q);
          all[at++] = key < k1 ? numbers[row * k1 + key]! : outside;
        }
  return all;
}

/** What the mask input, is_causal, windows and nonpad lengths allow, in global positions: query row i is at `past + i`. */
function maskOf(call: OnnxCall, sizes: Sizes, past: number): Mask {
  const { B, H, Tq, Tk } = sizes;
  const masks: Mask[] = [];
  const nonpad = call.inputs[6]?.numbers();
  // Each batch row ends at its own length: query i of row b is at nonpad[b] − Tq + i, which may be negative.
  const shift = nonpad && capture(Int32Array.from(nonpad, (n) => n - Tq - past), [B], { name: "shift" });
  if (attribute(call, "is_causal", 0) === 1) masks.push(shift === undefined ? causal() : custom(maskMod`kv <= q + ${shift}[b]`));
  const [left, right] = [attribute(call, "left_window_size", -1), attribute(call, "right_window_size", -1)];
  if (shift === undefined) {
    if (left >= 0 || right >= 0) masks.push(window(left >= 0 ? left : Infinity, right >= 0 ? right : Infinity));
  } else {
    if (left >= 0) masks.push(custom(maskMod`q + ${shift}[b] - kv <= ${left}`));
    if (right >= 0) masks.push(custom(maskMod`kv - q - ${shift}[b] <= ${right}`));
  }
  const given = call.inputs[3];
  if (given?.dtype === "BOOL") {
    const keep = capture(Int32Array.from(spread(given, sizes, 0)), [B, H, Tq, Tk]);
    masks.push(custom(maskMod`${keep}[b, h, q - ${past}, kv] != 0`));
  }
  return masks.length === 0 ? full() : masks.length === 1 ? masks[0]! : and(...masks);
}

/** Soft cap and then the float mask, in ONNX's order. */
function scoreHooks(call: OnnxCall, { B, H, Tq, Tk }: Sizes, past: number): ScoreHook[] {
  const hooks: ScoreHook[] = [];
  const cap = attribute(call, "softcap", 0);
  if (cap > 0) hooks.push(scoreHook({ id: "softcap", program: scoreMod(({ score }) => score.div(cap).tanh().mul(cap)) }));
  const given = call.inputs[3];
  if (given !== undefined && given.dtype !== "BOOL") {
    const bias = capture(Float32Array.from(spread(given, { B, H, Tq, Tk }, -Infinity)), [B, H, Tq, Tk]);
    hooks.push(scoreHook({ id: "attn_mask", program: scoreMod`score + ${bias}[b, h, q - ${past}, kv]` }));
  }
  return hooks;
}

/** Attention-23, -24 and -25: Y, present_key, present_value, and the scores at the stage that qk_matmul_output_mode names. */
export const attentionOperator: OnnxOperator = (call): OnnxAnswer => {
  const q = heads(call, 0, "q_num_heads");
  const newK = heads(call, 1, "kv_num_heads");
  const newV = heads(call, 2, "kv_num_heads");
  const [pastK, pastV] = [optional(call, 4), optional(call, 5)];
  const k = pastK === undefined ? newK : concat([pastK, newK], 2);
  const v = pastV === undefined ? newV : concat([pastV, newV], 2);
  const past = pastK?.shape[2] ?? 0;
  const [B, H, Tq, D] = q.shape as [number, number, number, number];
  const sizes: Sizes = { B, H, Tq, Tk: k.shape[2]! };
  const mask = maskOf(call, sizes, past);
  const hooks = scoreHooks(call, sizes, past);
  const nonpad = call.inputs[6];
  const lengths = nonpad && call.engine.tensor(Int32Array.from(required(call, 6).numbers()), [B], { dtype: "i32" });
  const problem = { heads: H, kvHeads: k.shape[1]!, headDimQK: D, headDimV: v.shape[3]!, dtype: "f32", mask, qk: [], score: hooks, backward: false, cache: "none", dropout: false, padded: lengths !== undefined, sizes: { batch: B, queries: Tq, keys: sizes.Tk } } as const;
  const plan = attentionLab.plan(problem, call.engine.gpu.caps, call.kernel);
  const inputs = { q, k, v, scale: attribute(call, "scale", 1 / Math.sqrt(D)), mask, qOffset: past, kvOffset: 0, qk: [], dropout: 0, ...(lengths && { lengths }) };
  const bound = (some: readonly ScoreHook[]) => some.map((hook) => ({ hook, params: {} }));
  const { o } = plan.kernel.run({ ...inputs, score: bound(hooks) }) as { o: Tensor };
  const y = call.outputShapes[0]?.length === 3 ? o.permute([0, 2, 1, 3]).reshape([B, Tq, -1]) : o;
  const scores = call.outputShapes[3] === undefined ? undefined : stage(attribute(call, "qk_matmul_output_mode", 0), (some) => attentionStages({ ...inputs, score: bound(some) }), hooks);
  // A fused kernel keeps no score matrix: that output always comes from the stages of the unfused one.
  const lowering = { ...loweringOf(plan, call.engine.gpu.caps), ...(scores && { qk_matmul_output: "stages of the unfused kernel" }) };
  return { outputs: [y, call.outputShapes[1] && k, call.outputShapes[2] && v, scores], kernel: plan.kernel.name, lowering };
};

/** 0: scaled q·kᵀ; 1: after the soft cap; 2: after the masks; 3: after the softmax. */
function stage(mode: number, run: (hooks: readonly ScoreHook[]) => AttentionStages, hooks: readonly ScoreHook[]): Tensor {
  switch (mode) {
    case 0:
      return run([]).raw;
    case 1:
      return run(hooks.filter(({ id }) => id === "softcap")).modified;
    case 2:
      return run(hooks).masked;
    case 3:
      return run(hooks).probabilities;
    default:
      throw new UnsupportedCase(`qk_matmul_output_mode ${mode}`);
  }
}
