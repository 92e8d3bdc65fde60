import { type Capture, type LoadSite, type Program, captureDerivatives, derivative, evaluate } from "@polyhead/expr";
import type { ScoreHook } from "../contracts/hooks.ts";
import { PolyheadError } from "../errors.ts";
import { type Array64, broadcastOffset, sizeOf, zeros64 } from "./array.ts";
import { type Cell, type ReferenceOutputs, eachCell, referenceAttention } from "./attention.ts";
import { type CaptureGradients, addAtSite } from "./captures.ts";
import { checkSizes, type ReferenceInputs } from "./inputs.ts";
import { hooked, unhooked } from "./qk.ts";
import { queryPull, querySums, type QueryPull } from "./queries.ts";

export interface ReferenceGradients {
  /** Before the qk hooks, shaped like the inputs. */
  readonly q: Array64;
  readonly k: Array64;
  readonly v: Array64;
  readonly bias?: Array64;
  readonly additiveMask?: Array64;
  /** By learned capture of the pair and score hooks, shaped like it. */
  readonly captures: ReadonlyMap<Capture, Array64>;
}

/** One hook's derivative by the score and by the tables it learns. */
interface HookSlope {
  readonly hook: ScoreHook;
  readonly byScore: Program;
  readonly sites: readonly LoadSite[];
  /** What the hook adds to the score of a cell whatever that score is, and how its gradient goes on. */
  readonly drawn?: { sum(cell: Cell): number; readonly pull: QueryPull };
}

function add(array: Array64, at: number, value: number): void {
  array.data[at] = (array.data[at] ?? 0) + value;
}

/** Runs ds = d loss/d (score after the hooks) back through them; returns d loss/d (score before them). */
function throughHooks(slopes: readonly HookSlope[], start: number, ds: number, cell: Cell, captures: CaptureGradients): number {
  const { global } = cell;
  const before = [start];
  for (const { hook, drawn } of slopes) {
    const s = before.at(-1) ?? 0;
    before.push(drawn === undefined ? hook.reference(s, global) : s + drawn.sum(cell));
  }
  let gradient = ds;
  for (let n = slopes.length - 1; n >= 0; n--) {
    const { byScore, sites, drawn } = slopes[n]!;
    if (drawn !== undefined) {
      drawn.pull(cell, gradient);
      continue;
    }
    const env = { score: before[n] ?? 0, b: global.b, h: global.h, q: global.q, kv: global.kv };
    for (const site of sites) addAtSite(captures, site, env, [gradient]);
    gradient *= evaluate(byScore, env)[0] ?? NaN;
  }
  return gradient;
}

function checkGradient(name: string, gradient: Array64, shape: readonly number[]): void {
  if (gradient.shape.join() === shape.join() && gradient.data.length === sizeOf(shape)) return;
  throw new PolyheadError("REF_SHAPE", `the gradient of ${name} is [${gradient.shape.join(", ")}]; expected [${shape.join(", ")}]`, `pass a gradient shaped like ${name}`);
}

/**
 * Gradients of a loss through {@link referenceAttention}, in float64, given those by its outputs.
 *
 * With P the probabilities and dP = dO vᵀ: dv = Pᵀ dO, ds = P ∘ (dP − Σ P dP) + P · dlse, then back through the score
 * hooks, the scale, the dot products and the qk hooks. A key that is not allowed, and a row without any, gets none.
 * @throws PolyheadError REF_SHAPE, REF_NO_PULLBACK.
 */
export function referenceGradients(inputs: ReferenceInputs, dO: Array64, dLse?: Array64, forward: ReferenceOutputs = referenceAttention(inputs)): ReferenceGradients {
  const sizes = checkSizes(inputs);
  const { Hq, Hkv, group, Tq, Tk, D, Dv } = sizes;
  checkGradient("o", dO, forward.o.shape);
  if (dLse !== undefined) checkGradient("lse", dLse, forward.lse.shape);
  const { raw, probabilities } = forward.stages;
  const scale = inputs.scale ?? 1 / Math.sqrt(D);
  const [q, k] = [hooked(inputs, "q").data, hooked(inputs, "k").data];
  const [dq, dk, dv] = [zeros64(inputs.q.shape), zeros64(inputs.k.shape), zeros64(inputs.v.shape)];
  const dBias = inputs.bias && zeros64(inputs.bias.shape);
  const dMask = inputs.additiveMask && zeros64(inputs.additiveMask.shape);
  const captures: CaptureGradients = new Map();
  const sums = querySums(inputs, sizes);
  const slopes = (inputs.score ?? []).map((hook, n): HookSlope => {
    const [sum, pull] = [sums[n], queryPull(hook, inputs, sizes, dq, captures)];
    return { hook, byScore: derivative(hook.program, "score"), sites: captureDerivatives(hook.program), ...(sum && pull && { drawn: { sum, pull } }) };
  });

  const rowOf = ({ b, h, i }: Cell): number => (b * Hq + h) * Tq + i;
  const keyOf = ({ b, h, j }: Cell): number => (b * Hkv + Math.floor(h / group)) * Tk + j;

  // dP, and Δ = Σⱼ P dP of each row.
  const dP = zeros64(probabilities.shape);
  const delta = new Float64Array(forward.lse.data.length);
  eachCell(inputs, sizes, (cell) => {
    const p = probabilities.data[cell.at] ?? 0;
    if (p === 0) return;
    const [row, key] = [rowOf(cell), keyOf(cell)];
    let dot = 0;
    for (let d = 0; d < Dv; d++) {
      const g = dO.data[row * Dv + d] ?? 0;
      dot += g * (inputs.v.data[key * Dv + d] ?? 0);
      add(dv, key * Dv + d, p * g);
    }
    dP.data[cell.at] = dot;
    delta[row] = (delta[row] ?? 0) + p * dot;
  });

  eachCell(inputs, sizes, (cell) => {
    const p = probabilities.data[cell.at] ?? 0;
    if (p === 0) return;
    const [row, key] = [rowOf(cell), keyOf(cell)];
    const index = [cell.b, cell.h, cell.i, cell.j];
    let ds = p * ((dP.data[cell.at] ?? 0) - (delta[row] ?? 0) + (dLse?.data[row] ?? 0));
    if (inputs.additiveMask !== undefined && dMask !== undefined) add(dMask, broadcastOffset(dMask.shape, index), ds);
    const start = (raw.data[cell.at] ?? 0) + (inputs.bias === undefined ? 0 : (inputs.bias.data[broadcastOffset(inputs.bias.shape, index)] ?? 0));
    if (slopes.length > 0) ds = throughHooks(slopes, start, ds, cell, captures);
    if (dBias !== undefined) add(dBias, broadcastOffset(dBias.shape, index), ds);
    for (let d = 0; d < D; d++) {
      add(dq, row * D + d, scale * ds * (k[key * D + d] ?? 0));
      add(dk, key * D + d, scale * ds * (q[row * D + d] ?? 0));
    }
  });

  return {
    q: unhooked(inputs, "q", dq, captures),
    k: unhooked(inputs, "k", dk, captures),
    v: dv,
    ...(dBias === undefined ? {} : { bias: dBias }),
    ...(dMask === undefined ? {} : { additiveMask: dMask }),
    captures,
  };
}
