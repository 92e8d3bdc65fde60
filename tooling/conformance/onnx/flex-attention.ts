import { flexAttention } from "@polyhead/attn-flex";
import { attentionStages } from "@polyhead/attn-mha";
import { full, scoreHook, type KernelInputs } from "@polyhead/core";
import { matmul, type Tensor } from "@polyhead/tensor";
import { attentionLab, loweringOf } from "../kernels.ts";
import { mapScores } from "../score-map.ts";
import { UnsupportedCase } from "../unsupported.ts";
import { modifierOf, type Modifier } from "./graph/modifier.ts";
import { attribute, required, upload, type OnnxAnswer, type OnnxCall, type OnnxOperator } from "./operator.ts";

const ATTRIBUTES: readonly string[] = ["scale", "score_mod", "prob_mod", "softmax_precision"];

/** FlexAttention-1 of ai.onnx.preview: Y = prob_mod(softmax(score_mod(scale · Q Kᵀ))) V, with heads of Q in groups of those of K. */
export const flexAttentionOperator: OnnxOperator = (call): OnnxAnswer => {
  const unknown = Object.keys(call.attributes).find((name) => !ATTRIBUTES.includes(name));
  if (unknown !== undefined) throw new UnsupportedCase(`attribute ${unknown}`);
  // softmax_precision asks for at least so much: ours is f32 throughout, and ONNX's rule judges it.
  const [[B, H, L, D], [, kvHeads, S], [, , , Dv]] = [0, 1, 2].map((slot) => sizesOf(call, slot)) as [Sizes, Sizes, Sizes];
  const { score_mod: scoreMod, prob_mod: probMod } = call.attributes;
  const modifier = (given: unknown, what: string): Modifier | undefined => (given === undefined ? undefined : modifierOf(given, what, [B, H, L, S]));
  const [score, weights] = [modifier(scoreMod, "score_mod"), modifier(probMod, "prob_mod")];
  const hooks = score === undefined ? [] : [scoreHook({ id: "score_mod", program: score.program })];
  const inputs = {
    q: upload(call, 0), k: upload(call, 1), v: upload(call, 2),
    scale: attribute(call, "scale", 1 / Math.sqrt(D)),
    mask: score?.mask ?? full(),
    qOffset: 0, kvOffset: 0,
    qk: [], score: hooks.map((hook) => ({ hook, params: {} })),
    dropout: 0,
  };
  if (weights !== undefined) return throughWeights(call, inputs, weights);
  // The operator is flexAttention's own; the kernels of a plan stand beside it.
  if (call.kernel === undefined || call.kernel === "flex") {
    const { q, k, v, scale, mask } = inputs;
    const { o } = flexAttention({ q, k, v, scale, mask, scoreMod: hooks });
    return { outputs: [o], kernel: "flex", lowering: Object.fromEntries(hooks.map(({ id }) => [id, "inline"])) };
  }
  const problem = { heads: H, kvHeads, headDimQK: D, headDimV: Dv, dtype: "f32", mask: inputs.mask, qk: [], score: hooks, backward: false, cache: "none", dropout: false, padded: false, sizes: { batch: B, queries: L, keys: S } } as const;
  const plan = attentionLab.plan(problem, call.engine.gpu.caps, call.kernel);
  const { o } = plan.kernel.run(inputs) as { o: Tensor };
  return { outputs: [o], kernel: plan.kernel.name, lowering: loweringOf(plan, call.engine.gpu.caps) };
};

type Sizes = readonly [number, number, number, number];

function sizesOf(call: OnnxCall, slot: number): Sizes {
  const { shape } = required(call, slot);
  if (shape.length !== 4) throw new UnsupportedCase(`input ${slot} of shape [${shape.join(", ")}]; expected 4 axes`);
  return shape as unknown as Sizes;
}

/** A fused kernel never holds its weights, so what acts on them acts on the unfused kernel's, as a tensor. */
function throughWeights(call: OnnxCall, inputs: KernelInputs<Tensor>, { program, mask }: Modifier): OnnxAnswer {
  if (call.kernel !== undefined && call.kernel !== "reference") throw new UnsupportedCase(`prob_mod: kernel '${call.kernel}' keeps no weights; 'reference' does`);
  if (mask.kind !== "full") throw new UnsupportedCase("prob_mod that gives −∞");
  const { probabilities } = attentionStages(inputs);
  const [B, H, L, S] = probabilities.shape as [number, number, number, number];
  const [, kvHeads, , Dv] = inputs.v.shape as [number, number, number, number];
  const changed = mapScores(program, probabilities);
  const o = matmul(changed.reshape([B, kvHeads, (H / kvHeads) * L, S]), inputs.v).reshape([B, H, L, Dv]);
  return { outputs: [o], kernel: "reference", lowering: { ...(inputs.score.length > 0 && { score_mod: "inline" }), prob_mod: "tensor" } };
}
