import type { Mask } from "./mask.ts";
import type { OptionSpec } from "./options.ts";
import type { PluginBase } from "./plugin-base.ts";
import type { ModelParts, ResolvedSpec } from "./spec.ts";
import type { Caps, Problem } from "./problem.ts";
import type { Plan } from "./plan.ts";

/** What an architecture may ask of the lab that builds it. */
export interface Workshop {
  /** The parts that a resolved spec names, created for its sizes. */
  parts(spec: ResolvedSpec): ModelParts;
  /** Chooses a kernel, `only` the named one if given. */
  plan(problem: Problem, caps: Caps, only?: string): Plan;
}

/** How a model is built, beside what it is. */
export interface BuildOptions {
  /** Parameters are allocated but not drawn: a checkpoint will fill them. Default false. */
  readonly empty?: boolean;
  /** Storage of weight matrices; default f32. Everything else stays f32. */
  readonly dtype?: "f32" | "f16";
}

/**
 * Joins the parts to a model. `C` are the spec keys that are the architecture's own, nested as the user writes them
 * (`{ norm?: { place?: 'pre' | 'post' }, bias?: boolean }`); `options` describes them by dotted path (`norm.place`).
 */
export interface ArchitecturePlugin<N extends string = string, C = object, E = unknown, M = unknown>
  extends PluginBase<"architecture", N> {
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** The mask of a spec that names none. */
  readonly defaultMask: Mask;
  /** `config` is the architecture's part of the spec, with defaults filled in. */
  build(spec: ResolvedSpec, config: C, workshop: Workshop, engine: E, options?: BuildOptions): M;
}
