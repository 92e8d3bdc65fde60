import type { Plan, ResolvedSpec } from "@polyhead/core";
import type { Parameters } from "./parameters.ts";

/** A plan, and which attentions run on it. */
export interface NamedPlan {
  readonly of: string;
  readonly plan: Plan;
}

/** What a model is made of, and the kernels that its attentions train on, named where there are several. */
export function explainModel(spec: ResolvedSpec, parameters: Parameters, plans: readonly NamedPlan[]): string {
  const parts = (["attention", "position", "norm", "embedding"] as const).map((part) => `${part} '${spec[part].use}'`).join(", ");
  const order = spec["order"] === "interleaved" ? "" : `; order ${String(spec["order"])}`;
  return [`${spec.architecture}: ${spec.layers} layers of width ${spec.width}, ${parameters.count.toLocaleString("en")} parameters; ${parts}${order}`, ...plans.map(({ of, plan }) => (plans.length > 1 ? `${of}: ${plan.explain()}` : plan.explain()))].join("\n");
}
