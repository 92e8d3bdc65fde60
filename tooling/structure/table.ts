/** What a kind of package may import of Polyhead, from `src`. The whole list: what is not here is not allowed. */
export interface Arrows {
  readonly packages: readonly string[];
  /** Of those, what must be a peer dependency: a plugin shares the user's copy. */
  readonly peers?: readonly string[];
}

const plugin = (...packages: string[]): Arrows => ({ packages: ["core", ...packages], peers: ["core"] });

/** By package folder. An entry such as `attn-flash/kernel` allows that library entry, not the plugin beside it. */
const PACKAGES: Readonly<Record<string, Arrows>> = {
  "expr": { packages: [] },
  "core": { packages: ["expr"] },
  "gpu": { packages: [] },
  "gpu-node": { packages: ["gpu"] },
  "tensor": { packages: ["gpu", "expr"] },
  "attn-mha": plugin("gpu", "tensor"), // holds the unfused reference kernel
  "attn-mla": plugin("gpu", "tensor", "attn-mha/kernel"), // its cache and masks are those of multi-head attention
  "attn-flash": plugin("gpu", "tensor", "attn-mha/kernel"), // what masks, hooks and tables mean is written once
  "attn-flex": plugin("gpu", "tensor", "attn-flash/kernel"),
  "attn-ring": plugin("gpu", "tensor", "attn-flash/kernel"),
  "model": { packages: ["core", "tensor"] },
  "train": { packages: ["model", "core", "tensor"] },
  "viz": { packages: ["core"] },
  "testkit": { packages: ["core", "gpu"] },
};

/** By the prefix that says a plugin's kind. */
const KINDS: Readonly<Record<string, Arrows>> = {
  "attn-": plugin("tensor"),
  "comm-": plugin(),
  "pos-": plugin(),
  "norm-": plugin("tensor"),
  "embed-": plugin("tensor"),
};

const kindOf = (folder: string): string | undefined => Object.keys(KINDS).find((prefix) => folder.startsWith(prefix));

/** Plugins are the packages whose prefix says a kind; a communicator has a contract, but no formula and no place in a lab. */
export const isPlugin = (folder: string): boolean => kindOf(folder) !== undefined && !folder.startsWith("comm-");

/** The arrows of a package; undefined for one that the table does not know. `presets` may import every plugin. */
export function arrowsOf(folder: string, all: readonly string[]): Arrows | undefined {
  if (folder === "presets") return { packages: ["core", "model", ...all.filter(isPlugin)], peers: ["core"] };
  return PACKAGES[folder] ?? KINDS[kindOf(folder) ?? ""];
}

/** Packages that any test may use beside its own package's arrows. */
export const TEST_PACKAGES: readonly string[] = ["gpu-node", "testkit"];

/** Everything that may stand at the top of the repository. */
export const TOP_LEVEL: ReadonlySet<string> = new Set([
  "packages", "examples", "tooling", "docs", ".changeset", ".ci", ".github", ".gitignore", ".gitattributes",
  "package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "turbo.json", "tsconfig.base.json", "vitest.config.ts",
  "eslint.config.mjs", "knip.json", "README.md", "CONTRIBUTING.md", "LICENSE",
]);
