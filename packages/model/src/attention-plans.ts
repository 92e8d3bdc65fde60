import { problemOf, type AttentionShape, type Mask, type ModelParts, type Plan, type Problem, type ResolvedSpec, type Workshop } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { AttentionKind } from "./block.ts";

/** What plans of the same attention differ by. */
export type PlanUse = Pick<Problem, "backward" | "cache" | "dtype" | "padded">;

export interface AttentionPlansOptions {
  readonly workshop: Workshop;
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly parts: ModelParts<Tensor>;
  readonly masks: Readonly<Record<AttentionKind, Mask>>;
  /** The hooks of cross-attention: positions of one text mean nothing in another. */
  readonly crossHooks: ModelParts["position"]["hooks"];
}

/** The kernels that the attentions of a stack run on: each is planned once, when it is first needed. */
export class AttentionPlans {
  readonly #options: AttentionPlansOptions;
  readonly #made = new Map<string, Plan>();

  constructor(options: AttentionPlansOptions) {
    this.#options = options;
  }

  /**
   * @param shape  heads of other sizes than the layer's own
   * @throws PolyheadError `PLAN_NO_KERNEL` and what else `lab.plan` throws.
   */
  of(kind: AttentionKind, use: PlanUse, shape?: AttentionShape): Plan {
    const { backward, cache, dtype, padded } = use;
    const key = `${kind} ${String(backward)} ${cache} ${dtype} ${String(padded)} ${shape === undefined ? "" : JSON.stringify(shape)}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const plan = this.#plan(kind, use, shape);
    this.#made.set(key, plan);
    return plan;
  }

  #plan(kind: AttentionKind, use: PlanUse, shape: AttentionShape | undefined): Plan {
    const { workshop, engine, spec, parts, masks, crossHooks } = this.#options;
    const position = kind === "c" ? { ...parts.position, hooks: crossHooks } : parts.position;
    const attention = shape === undefined ? parts.attention : { ...parts.attention, shape };
    const sizes = { batch: 1, queries: spec.context, keys: spec.context };
    const problem = problemOf({ ...parts, position, attention }, { ...use, mask: masks[kind], dropout: use.backward && spec.dropout > 0, sizes });
    return workshop.plan(problem, engine.gpu.caps, spec.kernel);
  }
}
