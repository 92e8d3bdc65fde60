/* eslint-disable @typescript-eslint/no-explicit-any -- types are read off plugins of every config and tensor type */
import type { ArchitecturePlugin, BuildOptions, Workshop } from "./contracts/architecture.ts";
import type { Mask } from "./contracts/mask.ts";
import type { OfKind, Plugin, PluginKind } from "./contracts/plugin.ts";
import type { Caps, Problem } from "./contracts/problem.ts";
import type { Plan } from "./contracts/plan.ts";
import type { ModelParts, ResolvedSpec } from "./contracts/spec.ts";

type Simplify<T> = { [K in keyof T]: T[K] };

/** The names of the plugins of one kind. */
export type NameOf<P extends readonly Plugin[], K extends PluginKind> = OfKind<P, K>["name"];

/** The plugin of a kind and a name. */
export type Named<P extends readonly Plugin[], K extends PluginKind, N> = Extract<OfKind<P, K>, { name: N }>;

type ConfigOf<Q> = Q extends { create(config: infer C, ...rest: any[]): unknown } ? C : never;

/** How a spec chooses a plugin: its name under `use`, and its own options beside it. */
type Choice<Q> = Q extends { name: infer N } ? Simplify<{ use: N } & ConfigOf<Q>> : never;

type Architecture<P extends readonly Plugin[]> = OfKind<P, "architecture">;
type Own<P extends readonly Plugin[]> = Architecture<P> extends ArchitecturePlugin<any, infer C, any, any> ? C : object;

/** The architecture's keys inside one part of the spec, such as `place` in `norm`. */
type OwnIn<P extends readonly Plugin[], K extends string> = Own<P> extends Readonly<Partial<Record<K, infer V>>> ? NonNullable<V> : unknown;

type PartName = "attention" | "position" | "norm" | "embedding";

type SitesOf<Q> = Q extends { sites: readonly (infer S)[] } ? S : never;

/** An object whose only content is the sentence, so that the compiler's message shows it. */
type Illegal<P extends readonly Plugin[], A, O> =
  Exclude<SitesOf<Named<P, "position", O>>, SitesOf<Named<P, "attention", A>>> extends infer X
    ? [X] extends [never]
      ? unknown
      : { position: { error: `position '${O & string}' acts on '${X & string}', which attention '${A & string}' does not expose` } }
    : never;

/** A model specification over the plugins `P`, with attention `A` and position `O`. */
export type ModelSpec<P extends readonly Plugin[], A extends NameOf<P, "attention">, O extends NameOf<P, "position">> = {
  readonly architecture?: NameOf<P, "architecture">;
  readonly layers: number;
  readonly width: number;
  readonly vocab: number;
  /** The longest sequence, in tokens. */
  readonly context: number;
  /** Drop probability in training; default 0. */
  readonly dropout?: number;
  /** Default: the architecture's. */
  readonly mask?: Mask;
  /** Default 'auto': the planner's choice. */
  readonly kernel?: NameOf<P, "kernel"> | "auto";
  readonly attention: { readonly use: A } & Choice<Named<P, "attention", A>> & OwnIn<P, "attention">;
  readonly position: { readonly use: O } & Choice<Named<P, "position", O>> & OwnIn<P, "position">;
  readonly norm: Choice<OfKind<P, "norm">> & OwnIn<P, "norm">;
  readonly embedding: Choice<OfKind<P, "embedding">> & OwnIn<P, "embedding">;
} & Omit<Own<P>, PartName> &
  Illegal<P, A, O>;

type EngineFor<P extends readonly Plugin[]> = Architecture<P> extends ArchitecturePlugin<any, any, infer E, any> ? E : unknown;

/** What `build` of the architecture returns; never, in a lab without one. */
export type ModelOf<P extends readonly Plugin[]> = Architecture<P> extends { build(...args: any[]): infer M } ? M : never;

/** A set of plugins that can be composed: a frozen value, without globals. */
export interface Lab<P extends readonly Plugin[] = readonly Plugin[]> extends Workshop {
  readonly plugins: P;
  /** The lab with one more plugin; this one stays as it is. */
  use<const Q extends Plugin>(plugin: Q): Lab<readonly [...P, Q]>;
  /** @throws PolyheadError LAB_UNKNOWN, naming the nearest known plugin. */
  find<K extends PluginKind>(kind: K, name: string): OfKind<P, K>;
  /** The names of the plugins of one kind, in the order given. */
  names<K extends PluginKind>(kind: K): readonly NameOf<P, K>[];
  /**
   * Chooses the kernel of a problem; `only` names the one kernel allowed.
   * @throws PolyheadError PLAN_NO_KERNEL with every reason; PLAN_HEADS, PLAN_HOOK_ID; LAB_UNKNOWN.
   */
  plan(problem: Problem, caps: Caps, only?: string): Plan;
  /**
   * Checks a spec, from JSON or a literal, strictly and fills in every default.
   * @throws PolyheadError CONFIG_* (a bad key or value), LAB_UNKNOWN (an unknown plugin), LAB_SITE (an illegal pair),
   * LAB_NO_ARCHITECTURE.
   */
  resolve(spec: unknown): ResolvedSpec;
  /** Creates the parts that a resolved spec names. */
  parts(spec: ResolvedSpec): ModelParts;
  /** Builds a model of a spec that the compiler has checked. Throws as `resolve`, and as the architecture's `build`. */
  model<A extends NameOf<P, "attention">, O extends NameOf<P, "position">>(spec: ModelSpec<P, A, O>, engine: EngineFor<P>, options?: BuildOptions): ModelOf<P>;
  /** Builds a model of a spec that only `resolve` has checked. */
  build(spec: ResolvedSpec, engine: EngineFor<P>, options?: BuildOptions): ModelOf<P>;
}
