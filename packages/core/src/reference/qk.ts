import type { QkHook } from "../contracts/hooks.ts";
import { PolyheadError } from "../errors.ts";
import { type Array64, zeros64 } from "./array.ts";
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

/**
 * The gradient of q or k before its hooks, from that after them.
 * @throws PolyheadError REF_NO_PULLBACK if a row hook states no pullback.
 */
export function unhooked(inputs: ReferenceInputs, side: Side, gradient: Array64): Array64 {
  const source = inputs[side];
  const hooks = acting(inputs, side);
  if (hooks.length === 0) return gradient;
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
      g = hook.pullback(stages[i] ?? new Float64Array(D), position, head, g, inputs.qkParams?.[hook.id]);
    }
    out.data.set(g, row * D);
  });
  return out;
}
