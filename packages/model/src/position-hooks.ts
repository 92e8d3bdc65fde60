import { bindHooks, hookParams, type AttentionContext, type BoundHook, type EmbedHook, type Hook, type PositionLayer } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import type { Parameters } from "./parameters.ts";

export interface PositionHooks {
  readonly embed: readonly BoundHook<Tensor, EmbedHook>[];
  /** Of each layer, first to last. */
  readonly attention: readonly AttentionContext<Tensor>["hooks"][];
}

export interface PositionHooksOptions {
  readonly layers: number;
  readonly parameters: Parameters;
  /** Before all names: empty, or `encoder.`. */
  readonly prefix: string;
}

type AttentionHook = AttentionContext<Tensor>["hooks"][number]["hook"];

/**
 * Makes the parameters of a position and binds its hooks to them: under `position` what all layers share, and under
 * `blocks.N.position` what each has of its own. There is one embedding, so embed hooks are always of the first kind.
 */
export function positionHooks({ hooks, perLayer = false }: PositionLayer, { layers, parameters, prefix }: PositionHooksOptions): PositionHooks {
  const bind = <H extends Hook<Tensor>>(path: string, own: readonly H[]): readonly BoundHook<Tensor, H>[] => bindHooks<Tensor>(own, parameters.create(prefix + path, hookParams(own))) as readonly BoundHook<Tensor, H>[];
  const all = hooks as readonly Hook<Tensor>[];
  const embed = bind("position", all.filter((hook): hook is EmbedHook => hook.site === "embed"));
  const rest = all.filter((hook): hook is AttentionHook => hook.site !== "embed");
  const shared = perLayer ? undefined : bind("position", rest);
  return { embed, attention: Array.from({ length: layers }, (_, layer) => shared ?? bind(`blocks.${layer}.position`, rest)) };
}
