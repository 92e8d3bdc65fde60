import type { AttentionPlugin } from "./contracts/attention.ts";
import type { ModelDims } from "./contracts/dims.ts";
import type { EmbeddingPlugin } from "./contracts/embedding.ts";
import type { QkHook, ScoreHook, Site } from "./contracts/hooks.ts";
import type { NormPlugin } from "./contracts/norm.ts";
import type { PositionLayer, PositionPlugin } from "./contracts/position.ts";
import type { Problem } from "./contracts/problem.ts";
import type { ModelParts, ResolvedSpec } from "./contracts/spec.ts";
import type { TensorLike } from "./contracts/tensor-like.ts";
import { PolyheadError } from "./errors.ts";
import { isCausal } from "./masks.ts";
import { pluginConfig, type Shelf } from "./resolve.ts";

type Config = Readonly<Record<string, unknown>>;

/** A plugin's declared sites are what legality was checked against, so its hooks must keep to them. */
function checkHooks(plugin: PositionPlugin<string, Site, Config>, layer: PositionLayer): void {
  for (const hook of layer.hooks) {
    if (plugin.sites.includes(hook.site)) continue;
    throw new PolyheadError(
      "LAB_HOOK_SITE",
      `position '${plugin.name}' made hook '${hook.id}' at '${hook.site}', which its sites (${plugin.sites.join(", ") || "none"}) do not include`,
      `add '${hook.site}' to the sites of the plugin`,
    );
  }
}

/** Creates attention, position, norm and embedding of a resolved spec, each told the sizes it may know. */
export function createParts(spec: ResolvedSpec, shelf: Shelf): ModelParts {
  const attentionPlugin = shelf.find("attention", spec.attention.use) as AttentionPlugin<string, Site, Config>;
  const positionPlugin = shelf.find("position", spec.position.use) as PositionPlugin<string, Site, Config>;
  const normPlugin = shelf.find("norm", spec.norm.use) as NormPlugin<string, Config>;
  const embeddingPlugin = shelf.find("embedding", spec.embedding.use) as EmbeddingPlugin<string, Config>;

  const { width, layers, context, vocab, dropout } = spec;
  const sizes: ModelDims = Object.freeze({ width, layers, context, vocab, dropout, causal: isCausal(spec.mask) });
  const attention = attentionPlugin.create(pluginConfig(spec.attention, attentionPlugin.options), sizes);
  const dims = Object.freeze({ ...sizes, heads: attention.shape.heads, headDim: attention.shape.hookDim ?? attention.shape.headDimQK });
  const position = positionPlugin.create(pluginConfig(spec.position, positionPlugin.options), dims);
  checkHooks(positionPlugin, position);
  const norm = normPlugin.create(pluginConfig(spec.norm, normPlugin.options), sizes);
  const embedding = embeddingPlugin.create(pluginConfig(spec.embedding, embeddingPlugin.options), dims);
  return Object.freeze({ dims, attention, position, norm, embedding });
}

/** The attention problem that every layer of a model poses, for `lab.plan`. */
export function problemOf<T extends TensorLike>(
  parts: ModelParts<T>,
  wants: Pick<Problem, "mask" | "dtype" | "backward" | "cache" | "padded" | "sizes"> & { readonly dropout: boolean },
): Problem {
  const qk: QkHook[] = [];
  const score: ScoreHook[] = [];
  for (const hook of parts.position.hooks) {
    if (hook.site === "qk" && parts.attention.ownsQkHooks !== true) qk.push(hook);
    else if (hook.site === "score") score.push(hook);
  }
  const { heads, kvHeads, headDimQK, headDimV } = parts.attention.shape;
  return Object.freeze({ heads, kvHeads, headDimQK, headDimV, ...wants, qk: Object.freeze(qk), score: Object.freeze(score) });
}
