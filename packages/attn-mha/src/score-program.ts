import { and, captureDerivatives, derivative, scoreMod, substitute, toProgram, variablesOf, type LoadSite, type Mask, type Program, type ScoreHook } from "@polyhead/core";
import { maskBounds, type MaskBounds } from "./mask-bounds.ts";
import { tableLayout, type TableLayout } from "./table-layout.ts";

/** Score hooks chained to one program, and the mask: what the score kernels are generated from. */
export interface ScoreProgram {
  /** The hooks, first to last: s ↦ hₙ(… h₁(s)). */
  readonly score: Program;
  /** What the bounds do not say; undefined where they say everything. */
  readonly mask: Program | undefined;
  readonly bounds: MaskBounds;
  /** ∂score/∂s, or undefined where it is 1 everywhere. */
  readonly slope: Program | undefined;
  /** Where learned tables are read. */
  readonly sites: readonly LoadSite[];
  readonly tables: TableLayout;
  /** No hook acts, and the mask is a range of keys. */
  readonly plain: boolean;
  /** Backward needs the raw scores again. */
  readonly keepsScores: boolean;
  /** Equal for equal code. */
  readonly key: string;
}

const identity: Program = scoreMod(({ score }) => score);
const ids = new WeakMap<Program, number>();
let lastId = 0;

function idOf(program: Program): number {
  let id = ids.get(program);
  if (id === undefined) ids.set(program, (id = ++lastId));
  return id;
}

const compiled = new WeakMap<Mask, Map<string, ScoreProgram>>();

/** The score program of a mask and hooks; the same objects give the same result, so that it is derived once. */
export function scoreProgram(mask: Mask, hooks: readonly ScoreHook[]): ScoreProgram {
  let byHooks = compiled.get(mask);
  if (byHooks === undefined) compiled.set(mask, (byHooks = new Map<string, ScoreProgram>()));
  const key = hooks.map(({ program }) => idOf(program)).join();
  let program = byHooks.get(key);
  if (program === undefined) byHooks.set(key, (program = derive(mask, hooks)));
  return program;
}

function derive(mask: Mask, hooks: readonly ScoreHook[]): ScoreProgram {
  const score = hooks.reduce((before, { program }) => substitute(program, { score: before }), identity);
  const bounds = maskBounds(mask);
  const test = bounds.exact ? undefined : toProgram(restOf(bounds));
  const slope = derivative(score, "score");
  const [out] = slope.outputs;
  const straight = out?.op === "const" && out.leaf.value === 1;
  const sites = captureDerivatives(score);
  const captures = [...new Set([...score.captures, ...(test?.captures ?? [])])];
  const slots = (program: Program | undefined): string => program?.captures.map((c) => captures.indexOf(c)).join() ?? "";
  return {
    score,
    mask: test,
    bounds,
    slope: straight ? undefined : slope,
    sites,
    plain: hooks.length === 0 && bounds.exact,
    tables: tableLayout(captures),
    keepsScores: [slope, ...sites.flatMap((site) => [site.index, site.derivative])].some(readsScore),
    key: [score.key, slots(score), test?.key ?? "", slots(test), ...bounds.lo, "<", ...bounds.hi].join("#"),
  };
}

const restOf = ({ rest }: MaskBounds): Mask => (rest.length === 1 ? rest[0]! : and(...rest));

const readsScore = ({ outputs }: Program): boolean => variablesOf(...outputs).includes("score");
