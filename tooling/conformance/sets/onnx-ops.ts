import { cast, type Engine, type Tensor } from "@polyhead/tensor";
import { compare, ONNX, ONNX_F16, onnxCases, type OnnxCase } from "@polyhead/testkit";
import { attentionOperator } from "../onnx/attention.ts";
import { flexAttentionOperator } from "../onnx/flex-attention.ts";
import { layerNormalizationOperator, rmsNormalizationOperator } from "../onnx/normalization.ts";
import { type OnnxAnswer, type OnnxOperator } from "../onnx/operator.ts";
import { UnsupportedCase } from "../unsupported.ts";
import type { SetOptions } from "./set.ts";
import { geluOperator, logSoftmaxOperator, softmaxOperator, swigluOperator, swishOperator } from "../onnx/pointwise.ts";
import { rotaryEmbeddingOperator } from "../onnx/rotary.ts";
import { tensorScatterOperator } from "../onnx/tensor-scatter.ts";
import type { CaseRecord } from "../record.ts";

const OPERATORS: Readonly<Record<string, OnnxOperator>> = {
  Attention: attentionOperator,
  FlexAttention: flexAttentionOperator,
  Gelu: geluOperator,
  LayerNormalization: layerNormalizationOperator,
  LogSoftmax: logSoftmaxOperator,
  RMSNormalization: rmsNormalizationOperator,
  RotaryEmbedding: rotaryEmbeddingOperator,
  Softmax: softmaxOperator,
  SwiGLU: swigluOperator,
  Swish: swishOperator,
  TensorScatter: tensorScatterOperator,
};

/** ONNX's own operator cases, by ONNX's own rule. */
export async function* onnxOps(data: string, engine: Engine, { wanted, kernel }: SetOptions): AsyncGenerator<CaseRecord> {
  for (const one of onnxCases(data)) if (wanted(one.case)) yield await runCase(one, engine, kernel);
}

async function runCase(one: OnnxCase, engine: Engine, kernel: string | undefined): Promise<CaseRecord> {
  const base = { set: "onnx-ops", case: one.case, kernel: "-", lowering: {}, maxError: null, pass: false };
  const operator = OPERATORS[one.op];
  if (operator === undefined) return { ...base, reason: `operator ${one.op} is not supported yet` };
  const { inputs, outputs } = one.load();
  let answer: OnnxAnswer;
  try {
    answer = engine.noGrad(() => engine.scope(() => operator({ engine, attributes: one.attributes, inputs, outputShapes: outputs.map((o) => o?.shape), kernel })));
  } catch (error) {
    return { ...base, reason: error instanceof UnsupportedCase ? `unsupported: ${error.message}` : String(error) };
  }
  const told = { ...base, kernel: answer.kernel, lowering: answer.lowering ?? {} };
  let maxError = 0;
  let reason: string | null = null;
  for (const [slot, want] of outputs.entries()) {
    if (want === undefined) continue;
    const got = answer.outputs[slot];
    if (got === undefined) return { ...told, reason: `output ${slot} (${want.name}) was not computed` };
    if (got.shape.join() !== want.shape.join()) return { ...told, reason: `output ${slot} has shape [${got.shape.join(", ")}], wanted [${want.shape.join(", ")}]` };
    try {
      const { pass, maxError: error, failures } = compare(await readAs(got, want.dtype), want.numbers(), want.dtype === "F16" ? ONNX_F16 : ONNX);
      maxError = Math.max(maxError, error);
      if (!pass) reason ??= `output ${slot}: ${failures} of ${want.size} numbers are off`;
    } catch (error) {
      return { ...told, reason: String(error) };
    }
  }
  for (const tensor of answer.outputs) tensor?.dispose();
  return { ...told, maxError, pass: reason === null, reason };
}

/** What a reader of the output's own dtype sees. */
async function readAs(tensor: Tensor, dtype: string): Promise<ArrayLike<number>> {
  if (dtype !== "F16") return tensor.read();
  const half = cast(tensor, "f16");
  try {
    return await half.read();
  } finally {
    half.dispose();
  }
}
