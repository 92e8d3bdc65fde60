// Which experts every token goes to, and with what weights.
//   logits    [N, E]   of the router
//   bias      [E]      added to the scores for the choice alone
//   scores    [N, E]   softmax or sigmoid of the logits
//   experts   [N, k]   the chosen, best first; equal ones by lower index
//   weights   [N, k]   scale · score, divided by the sum of the chosen scores where they are normalised
//   forward: one workgroup a token. A place in the order is a count of those before it, so nothing waits for a round of choices.
//   backward: one invocation an entry of the logits' gradient.
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl, type BindingSpec, type BufferSlice } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

export type Scoring = "softmax" | "sigmoid";
export type GroupScore = "max" | "top2";

export interface RouteForm {
  readonly scoring: Scoring;
  readonly normalize: boolean;
}

interface Choice extends RouteForm {
  readonly grouped: boolean;
  readonly groupScore: GroupScore;
  readonly biased: boolean;
  /** Entries that workgroup memory holds: at least E. */
  readonly room: number;
}

const LANES = 64;
/** A choice that is not a number comes after every other, and a closed group after that. */
const LAST = "-3.0e38";
const CLOSED = "-3.4028234663852886e38";

/** Experts that a token can choose among: workgroup memory holds three numbers for each. */
export const MOST_EXPERTS = 1024;

const mass = wgsl`
  var top = ${CLOSED};
  for (var j = 0u; j < params.experts; j++) { top = max(top, score[j]); }
  var part = 0.0;
  for (var j = lane; j < params.experts; j += ${LANES}u) {
    let e = exp(score[j] - top);
    part += e;
    choice[j] = e;
  }
  parts[lane] = part;
  workgroupBarrier();
  var total = 0.0;
  for (var l = 0u; l < ${LANES}u; l++) { total += parts[l]; }
  for (var j = lane; j < params.experts; j += ${LANES}u) { score[j] = choice[j] / total; }
  workgroupBarrier();`;

const worth = { max: wgsl`first`, top2: wgsl`first + second` } as const;

/** Closes the groups that are not among the best. Groups are runs of neighbours. */
const closeGroups = (groupScore: GroupScore): string => wgsl`
  for (var g = lane; g < params.groups; g += ${LANES}u) {
    var first = ${CLOSED};
    var second = ${CLOSED};
    for (var j = g * params.size; j < (g + 1u) * params.size; j++) {
      let c = choice[j];
      second = max(second, min(first, c));
      first = max(first, c);
    }
    best[g] = ${worth[groupScore]};
  }
  workgroupBarrier();
  for (var j = lane; j < params.experts; j += ${LANES}u) {
    let g = j / params.size;
    let own = best[g];
    var before = 0u;
    for (var o = 0u; o < params.groups; o++) {
      let other = best[o];
      before += select(0u, 1u, (other > own) | ((other == own) & (o < g)));
    }
    if (before >= params.open) { choice[j] = ${CLOSED}; }
  }
  workgroupBarrier();`;

const outer = (biased: boolean): Record<string, BindingSpec> => ({
  logits: "read array<f32>",
  ...(biased && { bias: "read array<f32>" as const }),
  scores: "write array<f32>",
  experts: "write array<u32>",
  weights: "write array<f32>",
});

const forward = kernelFamily(({ scoring, normalize, grouped, groupScore, biased, room }: Choice) =>
  defineKernel({
    name: `route ${scoring}${grouped ? ` ${groupScore}` : ""}`,
    bindings: outer(biased),
    params: { rows: "u32", experts: "u32", choices: "u32", groups: "u32", size: "u32", open: "u32", scale: "f32", tiny: "f32" },
    code: wgsl`
var<workgroup> score: array<f32, ${room}>;
var<workgroup> choice: array<f32, ${room}>;
var<workgroup> best: array<f32, ${room}>; // of the groups; later, of the experts
var<workgroup> parts: array<f32, ${LANES}>;
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x + group.y * groups.x;
  if (row >= params.rows) { return; }
  let base = row * params.experts;
  for (var j = lane; j < params.experts; j += ${LANES}u) {
    let z = logits[base + j];
    score[j] = ${scoring === "sigmoid" ? "1.0 / (1.0 + exp(-z))" : "z"};
  }
  workgroupBarrier();
  ${scoring === "softmax" ? mass : ""}
  for (var j = lane; j < params.experts; j += ${LANES}u) {
    let s = score[j];
    scores[base + j] = s;
    let c = s${biased ? " + bias[j]" : ""};
    choice[j] = select(${LAST}, c, c == c);
  }
  workgroupBarrier();
  ${grouped ? closeGroups(groupScore) : ""}
  for (var j = lane; j < params.experts; j += ${LANES}u) {
    let own = choice[j];
    var before = 0u;
    for (var o = 0u; o < params.experts; o++) {
      let other = choice[o];
      before += select(0u, 1u, (other > own) | ((other == own) & (o < j)));
    }
    if (before < params.choices) {
      experts[row * params.choices + before] = j;
      best[before] = score[j];
    }
  }
  workgroupBarrier();
  var sum = ${normalize ? "params.tiny" : "1.0"};
  ${normalize ? "for (var c = 0u; c < params.choices; c++) { sum += best[c]; }" : ""}
  for (var c = lane; c < params.choices; c += ${LANES}u) { weights[row * params.choices + c] = params.scale * best[c] / sum; }
}`,
  }),
);

/**
 * With S the sum of the chosen scores, ∂L/∂sᵢ of a chosen one is scale·gᵢ, or (scale·gᵢ − Σⱼ gⱼwⱼ) / S where they are normalised.
 * From there through the sigmoid, s(1 − s), or the softmax, sᵢ(∂sᵢ − Σⱼ sⱼ∂sⱼ).
 */
const backward = kernelFamily(({ scoring, normalize }: RouteForm) =>
  defineKernel({
    name: `route-backward ${scoring}`,
    bindings: { grad: "read array<f32>", scores: "read array<f32>", experts: "read array<u32>", weights: "read array<f32>", dlogits: "write array<f32>" },
    params: { count: "u32", experts: "u32", choices: "u32", scale: "f32", tiny: "f32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let row = i / params.experts;
  let own = i % params.experts;
  let first = row * params.choices;
  var sum = ${normalize ? "params.tiny" : "1.0"};
  var pull = 0.0;
  ${
    normalize
      ? `for (var c = first; c < first + params.choices; c++) {
    sum += scores[row * params.experts + experts[c]];
    pull += grad[c] * weights[c];
  }`
      : ""
  }
  var slope = 0.0;
  var mean = 0.0;
  for (var c = first; c < first + params.choices; c++) {
    let expert = experts[c];
    let d = (params.scale * grad[c] - pull) / sum;
    slope += select(0.0, d, expert == own);
    ${scoring === "softmax" ? "mean += d * scores[row * params.experts + expert];" : ""}
  }
  let s = scores[i];
  dlogits[i] = ${scoring === "softmax" ? "s * (slope - mean)" : "slope * s * (1.0 - s)"};
}`,
  }),
);

export interface RouteSizes {
  readonly active: number;
  readonly groups: number;
  readonly activeGroups: number;
  readonly groupScore: GroupScore;
  readonly scale: number;
}

/** What keeps a sum of scores that all underflow from dividing by zero. */
const TINY = 1e-20;

export interface Routed {
  readonly scores: Tensor;
  readonly experts: Tensor;
  readonly weights: Tensor;
}

/** logits [N, E], contiguous */
export function routeRows(logits: Tensor, bias: Tensor | undefined, { scoring, normalize }: RouteForm, { active, groups, activeGroups, groupScore, scale }: RouteSizes): Routed {
  const { engine } = logits;
  const [rows, count] = logits.shape as [number, number];
  const routed = { scores: engine.empty([rows, count]), experts: engine.empty([rows, active], "u32"), weights: engine.empty([rows, active]) };
  if (rows === 0) return routed;
  const room = Math.max(LANES, 2 ** Math.ceil(Math.log2(count)));
  const kernel = forward({ scoring, normalize, grouped: groups > 1, groupScore: groups > 1 ? groupScore : "max", biased: bias !== undefined, room });
  const { scores, experts, weights } = routed;
  const bindings: Record<string, BufferSlice> = { logits: logits.slice(), ...(bias && { bias: bias.slice() }), scores: scores.slice(), experts: experts.slice(), weights: weights.slice() };
  engine.gpu.dispatch(kernel, bindings, { rows, experts: count, choices: active, groups, size: count / groups, open: activeGroups, scale, tiny: TINY }, flatGrid(rows, 1));
  return routed;
}

/** grad [N, k], contiguous → [N, E] */
export function routeRowsBackward(grad: Tensor, { scores, experts, weights }: Routed, form: RouteForm, scale: number): Tensor {
  const { engine } = grad;
  const dlogits = engine.empty(scores.shape);
  if (dlogits.size === 0) return dlogits;
  const [, count] = scores.shape as [number, number];
  engine.gpu.dispatch(
    backward({ scoring: form.scoring, normalize: form.normalize }),
    { grad: grad.slice(), scores: scores.slice(), experts: experts.slice(), weights: weights.slice(), dlogits: dlogits.slice() },
    { count: dlogits.size, experts: count, choices: experts.shape[1]!, scale, tiny: TINY },
    flatGrid(dlogits.size, 64),
  );
  return dlogits;
}
