import type { BoundHook, KernelInputs, ScoreHook } from "@polyhead/core";
import { flatGrid, numberOf, type BufferSlice, type Gpu, type Scalar } from "@polyhead/gpu";
import { linkMany, sum, sumTo, type Tensor } from "@polyhead/tensor";
import { captureGradient, learnedTables } from "./kernels/capture-gradient.ts";
import { rowsPerWorkgroup, WORKGROUP } from "./kernels/lanes.ts";
import { scoreSoftmaxBackward } from "./kernels/score-softmax-backward.ts";
import { scoreSoftmax } from "./kernels/score-softmax.ts";
import { scoreStages } from "./kernels/score-stages.ts";
import { scoreProgram, type ScoreProgram } from "./score-program.ts";
import { elementsOf } from "./table-layout.ts";
import { cutTables, gatherTables, learnedTensors, tableSlices, type Tables } from "./tables.ts";

/** What turns scores into weights, as a kernel is given it. */
export type ScoreInputs = Pick<KernelInputs<Tensor>, "mask" | "qOffset" | "kvOffset" | "keys" | "bias" | "starts" | "lengths"> & {
  readonly score: readonly BoundHook<Tensor, ScoreHook>[];
};

/** Floats that the partial sums of learned tables may take: 16 MiB. */
const PARTIAL_SUMS = 2 ** 22;

/** CPU-backed devices have narrow subgroups, and pay for each barrier what a GPU pays for a row read by one lane. */
function lanesFor({ caps }: Gpu, keys: number): number {
  if (caps.subgroupSize === 4 || caps.subgroupSize === 8) return 1;
  return keys <= 8 ? 1 : keys <= 256 ? 16 : WORKGROUP;
}

const isWide = ({ shape }: Tensor): boolean => shape[3]! % 4 === 0;

/** Scalars of a dispatch, live ones included. */
type Scalars = Readonly<Record<string, Scalar>>;

const rowsOf = ({ rows = 0 }: Scalars): number => numberOf(rows);

export function scalarsOf(scores: Tensor, { qOffset, kvOffset, keys: inUse, bias }: ScoreInputs, tables: Pick<Tables, "scalars">): Scalars {
  const [B, heads, queries, keys] = scores.shape as [number, number, number, number];
  const [biasBatch = 1, biasHeads = 1] = bias?.shape ?? [];
  const plane = queries * keys;
  return {
    rows: B * heads * queries, heads, queries, keys, inUse: inUse ?? keys, qOffset, kvOffset,
    biasB: biasBatch === 1 ? 0 : biasHeads * plane,
    biasH: biasHeads === 1 ? 0 : plane,
    minusInfinity: -Infinity,
    ...tables.scalars,
  };
}

const shapeOf = ({ bias, starts, lengths }: ScoreInputs): { bias: boolean; starts: boolean; lengths: boolean } => ({
  bias: bias !== undefined, starts: starts !== undefined, lengths: lengths !== undefined,
});

const sliceAll = (tensors: Readonly<Record<string, Tensor | undefined>>): Record<string, BufferSlice> =>
  Object.fromEntries(Object.entries(tensors).flatMap(([name, tensor]) => (tensor === undefined ? [] : [[name, tensor.slice()]])));

/** A bias as the kernels index it: whole planes of [Tq, Tk]. */
function plainBias(bias: Tensor | undefined, [, , queries, keys]: readonly number[]): Tensor | undefined {
  if (bias === undefined) return undefined;
  return bias.expand([...bias.shape.slice(0, 2), queries!, keys!]).contiguous();
}

/**
 * Attention weights and log-sum-exp of raw scores `[B, Hq, Tq, Tk]`: bias, hooks in order, mask, softmax. A row with no
 * allowed key gives weights 0 and −∞.
 *
 * Gradients reach the scores, the bias, and the tables that hooks learn; `lse` has one of its own.
 */
export function softmaxOfScores(scores: Tensor, inputs: ScoreInputs): { readonly weights: Tensor; readonly lse: Tensor } {
  const { engine } = scores;
  const { gpu } = engine;
  const program = scoreProgram(inputs.mask, inputs.score.map(({ hook }) => hook));
  const learned = learnedTensors(inputs.score);
  const bias = plainBias(inputs.bias, scores.shape);
  const tables = gatherTables(engine, program.tables, learned);
  const scalars = scalarsOf(scores, { ...inputs, ...(bias && { bias }) }, tables);
  const weights = engine.empty(scores.shape);
  const lse = engine.empty(scores.shape.slice(0, 3));
  const lanes = lanesFor(gpu, scores.shape[3]!);
  const kernel = scoreSoftmax(program, { lanes, wide: isWide(scores), ...shapeOf(inputs) });
  const { starts, lengths } = inputs;
  gpu.dispatch(kernel, { ...sliceAll({ scores, bias, starts, lengths, probabilities: weights, lse }), ...tableSlices(tables) }, scalars, gridOf(scalars, lanes));

  const taught = learnedTables(program).map((capture) => learned.get(capture)!);
  const { floats, ints } = tables;
  const kept = { weights, scores: program.keepsScores ? scores : undefined, bias: program.keepsScores ? bias : undefined, floats, ints };
  const names = (Object.keys(kept) as (keyof typeof kept)[]).filter((name) => kept[name] !== undefined);
  linkMany([weights, lse], {
    name: "the softmax of attention scores",
    inputs: [scores, ...(bias ? [bias] : []), ...taught],
    saves: names.map((name) => kept[name]!),
    backward: ([dWeights, dLse], saved) => {
      const again = Object.fromEntries(names.map((name, i) => [name, saved[i]])) as unknown as Saved;
      const ds = scoreGradient(program, again, dWeights, dLse, scalars, true);
      return [
        ds,
        ...(bias ? [bias.requiresGrad ? sumTo(ds, bias.shape) : undefined] : []),
        ...(taught.some((tensor) => tensor.requiresGrad) ? tableGradients(program, again, dWeights, dLse, scalars, taught) : taught.map(() => undefined)),
      ];
    },
  });
  return { weights, lse };
}

interface Saved {
  readonly weights: Tensor;
  readonly scores?: Tensor;
  readonly bias?: Tensor;
  readonly floats?: Tensor;
  readonly ints?: Tensor;
}

const gridOf = (scalars: Scalars, lanes: number): [number, number, number] => flatGrid(rowsOf(scalars), rowsPerWorkgroup(lanes));

/** d loss/d raw score, or with `throughHooks` false d loss/d score after the hooks. */
function scoreGradient(program: ScoreProgram, saved: Saved, dWeights: Tensor | undefined, dLse: Tensor | undefined, scalars: Scalars, throughHooks: boolean): Tensor {
  const { weights, scores, bias } = saved;
  const { engine } = weights;
  const lanes = lanesFor(engine.gpu, weights.shape[3]!);
  const hooked = throughHooks && program.slope !== undefined;
  const kernel = scoreSoftmaxBackward(program, { lanes, wide: isWide(weights), dp: dWeights !== undefined, dlse: dLse !== undefined, bias: hooked && bias !== undefined, slope: hooked });
  const ds = engine.empty(weights.shape);
  engine.gpu.dispatch(
    kernel,
    { ...sliceAll({ probabilities: weights, dp: dWeights?.contiguous(), dlse: dLse?.contiguous(), ...(hooked && { scores, bias }), ds }), ...(hooked && tableSlices(saved as Pick<Tables, "floats" | "ints">)) },
    scalars,
    gridOf(scalars, lanes),
  );
  return ds;
}

/** Gradients of the learned tables, in their order. */
function tableGradients(program: ScoreProgram, saved: Saved, dWeights: Tensor | undefined, dLse: Tensor | undefined, scalars: Scalars, taught: readonly Tensor[]): Tensor[] {
  const after = scoreGradient(program, saved, dWeights, dLse, scalars, false);
  return gradientsOfTables(program, saved, after, scalars, taught);
}

/** Σ over cells of `after` (d loss/d score after the hooks) · ∂score/∂element. */
export function gradientsOfTables(program: ScoreProgram, saved: Omit<Saved, "weights">, after: Tensor, scalars: Scalars, taught: readonly Tensor[]): Tensor[] {
  const { engine } = after;
  const { scores, bias } = program.keepsScores ? saved : {};
  const tables = learnedTables(program);
  const elements = tables.reduce((total, capture) => total + elementsOf(capture), 0);
  const rows = rowsOf(scalars);
  const wanted = Math.max(1, Math.min(rows, 4096, Math.floor(PARTIAL_SUMS / elements)));
  const rowsPerChunk = Math.ceil(rows / wanted);
  const chunks = Math.ceil(rows / rowsPerChunk);
  const partial = engine.zeros([chunks, elements]);
  engine.gpu.dispatch(
    captureGradient(program, { bias: bias !== undefined }),
    { ...sliceAll({ weights: after, scores, bias, partial }), ...tableSlices(saved as Pick<Tables, "floats" | "ints">) },
    { ...scalars, chunks, rowsPerChunk, elements },
    flatGrid(chunks, 64),
  );
  return cutTables(sum(partial, [0]), taught);
}

/** Scores after the hooks, and after the mask (−∞ where a key is not allowed). Without the tape. */
export function scoresByStage(scores: Tensor, inputs: ScoreInputs): { readonly modified: Tensor; readonly masked: Tensor } {
  const { engine } = scores;
  const program = scoreProgram(inputs.mask, inputs.score.map(({ hook }) => hook));
  const tables = gatherTables(engine, program.tables, learnedTensors(inputs.score));
  const bias = plainBias(inputs.bias, scores.shape);
  const { starts, lengths } = inputs;
  const scalars = scalarsOf(scores, { ...inputs, ...(bias && { bias }) }, tables);
  const modified = engine.empty(scores.shape);
  const masked = engine.empty(scores.shape);
  engine.gpu.dispatch(scoreStages(program, shapeOf(inputs)), { ...sliceAll({ scores, bias, starts, lengths, modified, masked }), ...tableSlices(tables) }, scalars, flatGrid(rowsOf(scalars), 64));
  return { modified, masked };
}
