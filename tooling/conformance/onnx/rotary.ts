import { capture, pairMod } from "@polyhead/core";
import { pairwise } from "@polyhead/tensor";
import { attribute, required, upload, type OnnxOperator } from "./operator.ts";
import { UnsupportedCase } from "../unsupported.ts";

/** RotaryEmbedding-23: pairs turned by angles whose cosines and sines are given. */
export const rotaryEmbeddingOperator: OnnxOperator = (call) => {
  const [input, cosCache, sinCache, ids] = [required(call, 0), required(call, 1), required(call, 2), call.inputs[3]];
  const heads = attribute(call, "num_heads", 0);
  const flat = input.shape.length === 3;
  if (flat && heads <= 0) throw new UnsupportedCase("a 3D input needs num_heads");
  // [B, T, H·D] → [B, H, T, D]
  const [batch, tokens] = (flat ? [input.shape[0], input.shape[1]] : [input.shape[0], input.shape[2]]) as [number, number];
  const x = flat ? upload(call, 0).reshape([batch, tokens, heads, -1]).permute([0, 2, 1, 3]) : upload(call, 0);
  const headDim = x.shape[3]!;
  const rotaryDim = attribute(call, "rotary_embedding_dim", 0) || headDim;

  // Without position_ids the caches are [B, T, D/2]: every token has a row of its own.
  const half = cosCache.shape.at(-1)!;
  const table = (stored: typeof cosCache) => capture(stored.floats(), [stored.size / half, half]);
  const [cos, sin] = [table(cosCache), table(sinCache)];
  const places = ids === undefined ? Int32Array.from({ length: batch * tokens }, (_, i) => i) : Int32Array.from(ids.numbers());
  const positions = call.engine.tensor(places, [batch, tokens], { dtype: "i32" });
  const program = pairMod(({ x0, x1, position, pair }) => {
    const [c, s] = [cos.at(position, pair), sin.at(position, pair)];
    return [x0.mul(c).sub(x1.mul(s)), x0.mul(s).add(x1.mul(c))];
  });
  const turned = pairwise(x, program, { layout: attribute(call, "interleaved", 0) === 1 ? "interleaved" : "half", rotaryDim, positions });
  return { outputs: [flat ? turned.permute([0, 2, 1, 3]).reshape(input.shape) : turned], kernel: "pairwise", lowering: { rotary: "prepass" } };
};
