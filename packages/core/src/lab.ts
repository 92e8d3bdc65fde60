import type { BuildOptions } from "./contracts/architecture.ts";
import type { Plugin, PluginKind } from "./contracts/plugin.ts";
import type { Caps, Problem } from "./contracts/problem.ts";
import type { ModelParts, ResolvedSpec } from "./contracts/spec.ts";
import { show } from "./config.ts";
import { PolyheadError } from "./errors.ts";
import type { Lab } from "./lab-types.ts";
import { suggest } from "./nearest.ts";
import { createParts } from "./parts.ts";
import { plan } from "./planner.ts";
import { architectureOf, ownConfig, resolveSpec } from "./resolve.ts";

const KINDS: readonly PluginKind[] = ["attention", "kernel", "position", "norm", "embedding", "architecture"];

/** Recognises a plugin by its shape, so that one built against another copy of core is as good. */
function checkPlugin(plugin: unknown): asserts plugin is Plugin {
  const known = plugin as { kind?: unknown; name?: unknown; spec?: unknown } | null | undefined;
  const kind = KINDS.find((one) => one === known?.kind);
  if (typeof known !== "object" || known === null || kind === undefined || typeof known.name !== "string" || known.name === "") {
    throw new PolyheadError(
      "LAB_NOT_A_PLUGIN",
      `${show(plugin)} is not a plugin; expected an object with a name and a kind among ${KINDS.join(", ")}`,
      "pass the plugin object itself, such as `rope` of @polyhead/pos-rope",
    );
  }
  if (known.spec !== 1) {
    throw new PolyheadError(
      "LAB_SPEC",
      `${kind} '${known.name}' speaks version ${show(known.spec)} of the plugin contract; this copy of @polyhead/core speaks 1`,
      "install versions of the plugin and of @polyhead/core that fit together",
    );
  }
}

/** One plugin a name and kind; the same object given twice (alone and in a preset) counts once. */
function index(plugins: readonly unknown[]): ReadonlyMap<string, Plugin> {
  const byKey = new Map<string, Plugin>();
  for (const plugin of plugins) {
    checkPlugin(plugin);
    const key = `${plugin.kind}:${String(plugin.name)}`;
    const old = byKey.get(key);
    if (old !== undefined && old !== plugin) {
      throw new PolyheadError(
        "LAB_DUPLICATE",
        `two different plugins are called ${plugin.kind} '${String(plugin.name)}'; expected one`,
        "rename one of them; if it is one package installed twice, deduplicate it (`npm ls` shows where)",
      );
    }
    byKey.set(key, plugin);
  }
  return byKey;
}

/**
 * Makes a lab of plugins: a frozen value that knows these plugins and no others.
 * @throws PolyheadError LAB_NOT_A_PLUGIN, LAB_SPEC (another contract version), LAB_DUPLICATE.
 */
export function createLab<const P extends readonly Plugin[]>(...plugins: P): Lab<P> {
  const byKey = index(plugins);
  const all = [...byKey.values()];

  const names = (kind: PluginKind): string[] => all.filter((plugin) => plugin.kind === kind).map((plugin) => String(plugin.name));

  const find = (kind: PluginKind, name: string): Plugin => {
    const found = byKey.get(`${kind}:${name}`);
    if (found !== undefined) return found;
    const known = names(kind);
    throw new PolyheadError(
      "LAB_UNKNOWN",
      `this lab has no ${kind} '${name}'; ${known.length === 0 ? `it has no ${kind} plugin at all` : `it has ${known.join(", ")}`}`,
      known.length === 0 ? `give createLab a plugin of kind '${kind}'` : `${suggest(name, known)}; or give createLab the plugin`,
    );
  };

  const kernels = (only?: string) =>
    only === undefined || only === "auto" ? all.filter((plugin) => plugin.kind === "kernel") : [find("kernel", only)].filter((plugin) => plugin.kind === "kernel");

  const shelf = { find, names };
  const lab = {
    plugins: Object.freeze([...plugins]),
    use: (plugin: Plugin) => createLab(...plugins, plugin),
    ...shelf,
    plan: (problem: Problem, caps: Caps, only?: string) => plan(problem, kernels(only), caps),
    resolve: (spec: unknown) => resolveSpec(spec, shelf),
    parts: (spec: ResolvedSpec): ModelParts => createParts(spec, shelf),
    model: (spec: unknown, engine: unknown, options?: BuildOptions): unknown => lab.build(resolveSpec(spec, shelf), engine, options),
    build: (spec: ResolvedSpec, engine: unknown, options?: BuildOptions): unknown => {
      const architecture = architectureOf(spec, shelf);
      return architecture.build(spec, ownConfig(spec, architecture), lab, engine, options);
    },
  };
  // The types of Lab are read off P, which the run-time code above cannot follow.
  return Object.freeze(lab) as unknown as Lab<P>;
}
