import { layerNormWithStats, rmsNorm, type Tensor } from "@polyhead/tensor";
import { attribute, optional, required, upload, type OnnxCall, type OnnxOperator } from "./operator.ts";
import { UnsupportedCase } from "../unsupported.ts";

/** Everything from `axis` on is one row of `width` numbers. */
function rows(call: OnnxCall): { readonly x: Tensor; readonly width: number; readonly shape: readonly number[]; readonly axis: number } {
  const { shape } = required(call, 0);
  const given = attribute(call, "axis", -1);
  const axis = given < 0 ? given + shape.length : given;
  const width = shape.slice(axis).reduce((p, n) => p * n, 1);
  return { x: upload(call, 0).reshape([-1, width]), width, shape, axis };
}

/** A gain or bias, which ONNX lets broadcast to the normalised axes. */
function gain(tensor: Tensor, shape: readonly number[], axis: number): Tensor {
  const tail = shape.slice(axis);
  return tensor.expand(tail).reshape([-1]);
}

/** LayerNormalization-17: Y, Mean, InvStdDev. */
export const layerNormalizationOperator: OnnxOperator = (call) => {
  if (attribute(call, "stash_type", 1) !== 1) throw new UnsupportedCase("stash_type other than float");
  const { x, shape, axis } = rows(call);
  const bias = optional(call, 2);
  const { y, mean, invStdDev } = layerNormWithStats(x, gain(upload(call, 1), shape, axis), bias && gain(bias, shape, axis), { eps: attribute(call, "epsilon", 1e-5) });
  const stats = shape.map((n, i) => (i < axis ? n : 1));
  return { outputs: [y.reshape(shape), mean.reshape(stats), invStdDev.reshape(stats)], kernel: "layer-norm" };
};

/** RMSNormalization-23. */
export const rmsNormalizationOperator: OnnxOperator = (call) => {
  const { x, shape, axis } = rows(call);
  const y = rmsNorm(x, gain(upload(call, 1), shape, axis), { eps: attribute(call, "epsilon", 1e-5) });
  return { outputs: [y.reshape(shape)], kernel: "rms-norm" };
};
