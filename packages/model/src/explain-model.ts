import type { Plan, ResolvedSpec } from "@polyhead/core";
import type { Parameters } from "./parameters.ts";

/** What a model is made of, and the kernels that its attentions train on. */
export function explainModel(spec: ResolvedSpec, parameters: Parameters, plans: readonly Plan[]): string {
  const parts = (["attention", "position", "norm", "embedding"] as const).map((part) => `${part} '${spec[part].use}'`).join(", ");
  const order = spec["order"] === "interleaved" ? "" : `; order ${String(spec["order"])}`;
  return [`${spec.architecture}: ${spec.layers} layers of width ${spec.width}, ${parameters.count.toLocaleString("en")} parameters; ${parts}${order}`, ...plans.map((plan) => plan.explain())].join("\n");
}
