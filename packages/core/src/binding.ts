import type { BoundHook, Hook, QkHook, QkPairHook, ScoreHook } from "./contracts/hooks.ts";
import type { Params, ParamSpec, ParamSpecs } from "./contracts/params.ts";
import type { Lowering } from "./contracts/problem.ts";
import type { TensorLike } from "./contracts/tensor-like.ts";
import { PolyheadError } from "./errors.ts";

/** The parameters of all hooks under `<hook id>.<name>`, as a model stores them. */
export function hookParams(hooks: readonly Hook[]): ParamSpecs {
  const specs: Record<string, ParamSpec> = {};
  for (const hook of hooks) {
    for (const [name, spec] of Object.entries<ParamSpec>(hook.params)) specs[`${hook.id}.${name}`] = spec;
  }
  return specs;
}

/**
 * The counterpart of {@link hookParams}: each hook with its own tensors, under their local names.
 * @throws PolyheadError HOOK_PARAM if a declared parameter has no tensor.
 */
export function bindHooks<T extends TensorLike>(hooks: readonly Hook<T>[], params: Params<T>): readonly BoundHook<T>[] {
  return hooks.map((hook) => {
    const own: Record<string, T> = {};
    for (const name of Object.keys(hook.params)) {
      const key = `${hook.id}.${name}`;
      const tensor = params[key];
      if (tensor === undefined) {
        throw new PolyheadError("HOOK_PARAM", `no tensor for '${key}', which hook '${hook.id}' declares`, "allocate every parameter of hookParams(hooks)");
      }
      own[name] = tensor;
    }
    return { hook, params: own };
  });
}

/** The hooks of one attention call, sorted by what has to be done with them; the order within each list is the user's. */
export interface SortedHooks<T extends TensorLike> {
  /** Apply to q and k, in this order, before the kernel. */
  readonly prepass: readonly BoundHook<T, QkHook<T>>[];
  /** Hand to the kernel. */
  readonly qk: readonly BoundHook<T, QkPairHook>[];
  readonly score: readonly BoundHook<T, ScoreHook>[];
  /** Sum into the kernel's bias. */
  readonly tensor: readonly BoundHook<T, ScoreHook>[];
}

/**
 * Sorts hooks by the lowering that a plan gave them.
 * @throws PolyheadError HOOK_UNPLANNED if the plan knows nothing of a hook.
 */
export function sortHooks<T extends TensorLike>(
  hooks: readonly BoundHook<T, QkHook<T> | ScoreHook>[],
  how: Readonly<Record<string, Lowering>>,
): SortedHooks<T> {
  const prepass: BoundHook<T, QkHook<T>>[] = [];
  const qk: BoundHook<T, QkPairHook>[] = [];
  const score: BoundHook<T, ScoreHook>[] = [];
  const tensor: BoundHook<T, ScoreHook>[] = [];
  for (const { hook, params } of hooks) {
    if (how[hook.id] === undefined) {
      const known = Object.keys(how).join(", ") || "none";
      throw new PolyheadError("HOOK_UNPLANNED", `the plan does not say how to lower hook '${hook.id}'; it knows: ${known}`, "plan the problem with the hooks it is run with");
    }
    if (hook.site === "score") (how[hook.id] === "tensor" ? tensor : score).push({ hook, params });
    else if (hook.form === "pair" && how[hook.id] === "inline") qk.push({ hook, params });
    else prepass.push({ hook, params });
  }
  return { prepass, qk, score, tensor };
}
