import { formula } from "@polyhead/core";
import { gelu, geluTanh, logSoftmax, map, softmax, swiglu } from "@polyhead/tensor";
import { attribute, textAttribute, upload, type OnnxOperator } from "./operator.ts";
import { UnsupportedCase } from "../unsupported.ts";

/** Gelu-20: exact, or by tanh. */
export const geluOperator: OnnxOperator = (call) => {
  const approximate = textAttribute(call, "approximate", "none");
  if (approximate !== "none" && approximate !== "tanh") throw new UnsupportedCase(`approximate '${approximate}'`);
  return { outputs: [(approximate === "tanh" ? geluTanh : gelu)(upload(call, 0))], kernel: "map" };
};

const swish = formula({ x: "f32", alpha: "f32" })`x * sigmoid(alpha * x)`;

/** Swish-24: x · sigmoid(alpha · x). */
export const swishOperator: OnnxOperator = (call) => ({ outputs: [map(swish, { x: upload(call, 0), alpha: attribute(call, "alpha", 1) })], kernel: "map" });

/** SwiGLU-28: swish(a) · b. */
export const swigluOperator: OnnxOperator = (call) => ({ outputs: [swiglu(upload(call, 0), upload(call, 1))], kernel: "map" });

/** Softmax-13 and LogSoftmax-13. */
export const softmaxOperator: OnnxOperator = (call) => ({ outputs: [softmax(upload(call, 0), attribute(call, "axis", -1))], kernel: "softmax" });
export const logSoftmaxOperator: OnnxOperator = (call) => ({ outputs: [logSoftmax(upload(call, 0), attribute(call, "axis", -1))], kernel: "softmax" });
