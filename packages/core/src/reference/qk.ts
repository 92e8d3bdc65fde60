import { type LoadSite, captureDerivatives } from "@polyhead/expr";
import type { QkHook, QkPairHook } from "../contracts/hooks.ts";
import { PolyheadError } from "../errors.ts";
import { pairElements } from "../hooks.ts";
import { type Array64, zeros64 } from "./array.ts";
import { type CaptureGradients, addAtSite } from "./captures.ts";
import { queryOffset, type ReferenceInputs } from "./inputs.ts";

type Side = "q" | "k";

const acting = (inputs: ReferenceInputs, side: Side): QkHook[] => (inputs.qk ?? []).filter(({ applies }) => applies === "both" || applies === side);

/** Visits every row with its global position and head. */
function eachRow(inputs: ReferenceInputs, side: Side, visit: (row: number, position: number, head: number) => void): void {
  const [B = 0, H = 0, T = 0] = inputs[side].shape;
  const positions = side === "q" ? inputs.qPositions : inputs.kvPositions;
  for (let b = 0; b < B; b++) {
    const offset = side === "q" ? queryOffset(inputs, b) : (inputs.kvOffset ?? 0);
    for (let h = 0; h < H; h++) for (let t = 0; t < T; t++) visit((b * H + h) * T + t, positions?.[b * T + t] ?? offset + t, h);
  }
}

/** q or k after its qk hooks (law 1: after the projection, before the scale). */
export function hooked(inputs: ReferenceInputs, side: Side): Array64 {
  const source = inputs[side];
  const hooks = acting(inputs, side);
  if (hooks.length === 0) return source;
  const D = source.shape[3] ?? 0;
  const out = zeros64(source.shape);
  eachRow(inputs, side, (row, position, head) => {
    let x: Float64Array = source.data.slice(row * D, (row + 1) * D);
    for (const hook of hooks) x = hook.reference(x, position, head, inputs.qkParams?.[hook.id]);
    out.data.set(x, row * D);
  });
  return out;
}

/** Adds the gradients of the tables that a pair hook learns, given that of its output for one row. */
function learn(hook: QkPairHook, sites: readonly LoadSite[], x: Float64Array, position: number, head: number, g: Float64Array, captures: CaptureGradients): void {
  for (let pair = 0; pair < hook.rotaryDim / 2; pair++) {
    const [i, j] = pairElements(hook, pair);
    const env = { x0: x[i] ?? NaN, x1: x[j] ?? NaN, position, pair, head };
    for (const site of sites) addAtSite(captures, site, env, [g[i] ?? NaN, g[j] ?? NaN]);
  }
}

/**
 * The gradient of q or k before its hooks, from that after them; those of learned tables are added to `captures`.
 * @throws PolyheadError REF_NO_PULLBACK if a row hook states no pullback.
 */
export function unhooked(inputs: ReferenceInputs, side: Side, gradient: Array64, captures: CaptureGradients): Array64 {
  const source = inputs[side];
  const hooks = acting(inputs, side);
  if (hooks.length === 0) return gradient;
  const sites = hooks.map((hook) => (hook.form === "pair" ? captureDerivatives(hook.program) : []));
  const D = source.shape[3] ?? 0;
  const out = zeros64(source.shape);
  eachRow(inputs, side, (row, position, head) => {
    const stages: Float64Array[] = [source.data.slice(row * D, (row + 1) * D)];
    for (const hook of hooks) stages.push(hook.reference(stages.at(-1) ?? new Float64Array(D), position, head, inputs.qkParams?.[hook.id]));
    let g: Float64Array = gradient.data.slice(row * D, (row + 1) * D);
    for (const [i, hook] of [...hooks.entries()].reverse()) {
      if (hook.pullback === undefined) {
        throw new PolyheadError("REF_NO_PULLBACK", `qk hook '${hook.id}' has no pullback, so the reference cannot differentiate it`, "give the hook a pullback");
      }
      const x = stages[i] ?? new Float64Array(D);
      if (hook.form === "pair") learn(hook, sites[i] ?? [], x, position, head, g, captures);
      g = hook.pullback(x, position, head, g, inputs.qkParams?.[hook.id]);
    }
    out.data.set(g, row * D);
  });
  return out;
}
