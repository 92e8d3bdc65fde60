import type { ArchitecturePlugin } from "./contracts/architecture.ts";
import type { OptionSpec } from "./contracts/options.ts";
import type { Plugin, PluginKind } from "./contracts/plugin.ts";
import type { ResolvedCore, ResolvedPart, ResolvedSpec } from "./contracts/spec.ts";
import { asRecord, refuseUnknownKeys, resolveConfig } from "./config.ts";
import { PolyheadError } from "./errors.ts";
import { checkMask } from "./masks.ts";

/** What resolving needs of a lab. */
export interface Shelf {
  find(kind: PluginKind, name: string): Plugin;
  names(kind: PluginKind): readonly string[];
}

type Options = Readonly<Record<string, OptionSpec>>;

const PARTS = ["attention", "position", "norm", "embedding"] as const;
type Part = (typeof PARTS)[number];

const NAME: OptionSpec = { type: "string", required: true, doc: "the name of a plugin of the lab" };
const SIZES: Options = {
  layers: { type: "integer", min: 1, required: true, doc: "number of blocks" },
  width: { type: "integer", min: 1, required: true, doc: "features of the residual stream" },
  vocab: { type: "integer", min: 1, required: true, doc: "number of different tokens" },
  context: { type: "integer", min: 1, required: true, doc: "longest sequence, in tokens" },
  dropout: { type: "number", min: 0, max: 0.999, default: 0, doc: "drop probability in training" },
  kernel: { type: "string", default: "auto", doc: "a kernel's name, or 'auto'" },
};

/** The architecture of a spec: the one it names, else `decoder`, else the only one of the lab. */
export function architectureOf(spec: Readonly<Record<string, unknown>>, shelf: Shelf): ArchitecturePlugin {
  const names = shelf.names("architecture");
  if (names.length === 0) {
    throw new PolyheadError(
      "LAB_NO_ARCHITECTURE",
      "this lab has no architecture, so nothing joins its parts to a model",
      "give createLab an architecture, such as `decoder` of @polyhead/model",
    );
  }
  const fallback = names.length === 1 ? names[0] : names.find((name) => name === "decoder");
  const { architecture: named = fallback } = spec;
  const { architecture } = resolveConfig("", { architecture: NAME }, { architecture: named });
  return shelf.find("architecture", String(architecture)) as ArchitecturePlugin;
}

/** Options whose dotted path starts with `head`, without it; for the empty head, those without a dot. */
function optionsUnder(options: Options, head: string): Options {
  const under: Record<string, OptionSpec> = {};
  for (const [path, option] of Object.entries(options)) {
    const dot = path.indexOf(".");
    if (head === "" ? dot < 0 : path.slice(0, Math.max(dot, 0)) === head) under[path.slice(dot + 1)] = option;
  }
  return under;
}

const headsOf = (options: Options): string[] => [...new Set(Object.keys(options).filter((path) => path.includes(".")).map((path) => path.slice(0, path.indexOf("."))))];

function resolvePart(part: Part, given: unknown, own: Options, shelf: Shelf): { readonly plugin: Plugin; readonly config: ResolvedPart } {
  const record = asRecord(part, given);
  const { use } = resolveConfig(part, { use: NAME }, { use: record["use"] });
  const plugin = shelf.find(part, String(use));
  const options: Options = "options" in plugin ? plugin.options : {};
  const clash = Object.keys(own).find((key) => Object.hasOwn(options, key));
  if (clash !== undefined) {
    throw new PolyheadError("LAB_OPTION", `${part} '${plugin.name}' and the architecture both have an option '${part}.${clash}'`, "rename the plugin's option");
  }
  const config = resolveConfig(part, { use: NAME, ...options, ...own }, record);
  return { plugin, config: config as ResolvedPart };
}

/** Both plugins name their sites; what the position needs beyond what the attention exposes is an error. */
function checkSites(attention: Plugin, position: Plugin): void {
  if (attention.kind !== "attention" || position.kind !== "position") return;
  const exposed = attention.sites as readonly string[];
  const missing = (position.sites as readonly string[]).filter((site) => !exposed.includes(site));
  if (missing.length === 0) return;
  throw new PolyheadError(
    "LAB_SITE",
    `position '${String(position.name)}' acts on '${missing.join("', '")}', which attention '${String(attention.name)}' does not expose`,
    `choose a position that acts on ${exposed.length === 0 ? "nothing ('none')" : `'${exposed.join("' or '")}'`}, or an attention that exposes '${missing.join("', '")}'`,
  );
}

/**
 * Checks a spec strictly and fills in every default; see `Lab.resolve`. The architecture's options are spread to their
 * places by dotted path.
 */
export function resolveSpec(given: unknown, shelf: Shelf): ResolvedSpec {
  const spec = asRecord("the spec", given);
  const architecture = architectureOf(spec, shelf);
  const top = optionsUnder(architecture.options, "");
  const groups = headsOf(architecture.options).filter((head) => !PARTS.some((part) => part === head));
  refuseUnknownKeys("", spec, ["architecture", "mask", ...Object.keys(SIZES), ...PARTS, ...Object.keys(top), ...groups]);

  const pick = (options: Options) => resolveConfig("", options, Object.fromEntries(Object.keys(options).map((key) => [key, spec[key]])));
  const resolved: Record<string, unknown> = { architecture: architecture.name, ...pick(SIZES), ...pick(top) };
  if (resolved["kernel"] !== "auto") shelf.find("kernel", String(resolved["kernel"]));
  resolved["mask"] = spec["mask"] === undefined ? architecture.defaultMask : checkMask(spec["mask"]);
  for (const group of groups) resolved[group] = resolveConfig(group, optionsUnder(architecture.options, group), spec[group] ?? {});

  const plugins = new Map<Part, Plugin>();
  for (const part of PARTS) {
    const { plugin, config } = resolvePart(part, spec[part], optionsUnder(architecture.options, part), shelf);
    plugins.set(part, plugin);
    resolved[part] = config;
  }
  const [attention, position] = [plugins.get("attention"), plugins.get("position")];
  if (attention !== undefined && position !== undefined) checkSites(attention, position);
  return Object.freeze(resolved) as unknown as ResolvedCore & Readonly<Record<string, unknown>>;
}

/** The architecture's own part of a resolved spec, nested as in the spec. */
export function ownConfig(spec: ResolvedSpec, architecture: ArchitecturePlugin): Readonly<Record<string, unknown>> {
  const own: Record<string, unknown> = {};
  for (const key of Object.keys(optionsUnder(architecture.options, ""))) if (spec[key] !== undefined) own[key] = spec[key];
  for (const head of headsOf(architecture.options)) own[head] = pluginConfig(spec[head], optionsUnder(architecture.options, head));
  return Object.freeze(own);
}

/** The keys of a resolved part that belong to the plugin's own options. */
export function pluginConfig(part: unknown, options: Options): Readonly<Record<string, unknown>> {
  const record = asRecord("part", part);
  return Object.freeze(Object.fromEntries(Object.keys(options).filter((key) => record[key] !== undefined).map((key) => [key, record[key]])));
}
