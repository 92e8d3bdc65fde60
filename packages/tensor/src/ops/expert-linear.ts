import { formula } from "@polyhead/expr";
import { shapeError, showShape, TensorError } from "../errors.ts";
import { fewProduct, sortedProduct, weightProduct } from "../kernels/expert-products.ts";
import { sortPairs, type SortedPairs } from "../kernels/expert-rows.ts";
import { sortIds } from "../kernels/sort-ids.ts";
import { requireF32 } from "../operands.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";
import { map } from "./map.ts";
import { sum } from "./sum.ts";

/** Who goes to which expert, made once for all products of a routing. Its tensors live as long as the scope that made it. */
export interface ExpertRows {
  /** u32 [N, k]. */
  readonly ids: Tensor;
  /** E. */
  readonly experts: number;
  /** The pairs (token, choice) by expert; left out where there are too few to be worth sorting. */
  readonly sorted: SortedPairs | undefined;
}

const difference = formula({ end: "i32", start: "i32" })`f32(end - start)`;

/** Tokens that every expert has: u32 [N, k] → f32 [E]. No gradient. @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`. */
export function expertLoads(ids: Tensor, experts: number): Tensor {
  checkRows(ids, experts, "expertLoads");
  const { engine } = ids;
  return engine.noGrad(() => engine.scope(() => {
    const { starts } = sortIds(contiguous(ids), experts);
    return map(difference, { end: starts.narrow(0, 1, experts), start: starts.narrow(0, 0, experts) });
  }));
}

/** Up to so many pairs, or one an expert, each reads its expert's matrix by itself. An axis of a grid holds the largest number. */
const fewPairs = (experts: number): number => Math.min(Math.max(8, experts), 65_535);

/**
 * Sorts the pairs (token, choice) by expert, on the device: a stable counting sort. Shapes follow from those of the ids alone, so
 * that steps with a routing can be recorded.
 *
 * @param ids  [N, k], u32: the experts of every token, below `experts`
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function groupByExpert(ids: Tensor, experts: number): ExpertRows {
  checkRows(ids, experts, "groupByExpert");
  const { engine } = ids;
  const few = !engine.gradEnabled && ids.size <= fewPairs(experts);
  return engine.scope(() => engine.noGrad(() => {
    const own = contiguous(ids);
    return { ids: own, experts, sorted: few ? undefined : sortPairs(own, experts) };
  }));
}

function checkRows(ids: Tensor, experts: number, operator: string): void {
  if (ids.rank !== 2 || ids.size === 0) shapeError(`${operator} of ids of shape ${showShape(ids.shape)}`, "give [tokens, choices], at least one of each");
  if (!(Number.isInteger(experts) && experts >= 1)) shapeError(`${operator} of ${experts} experts`, "give a whole number, at least 1");
  if (ids.dtype !== "u32") throw new TensorError("TENSOR_DTYPE", `${operator} was given ids of dtype ${ids.dtype}`, "make them with dtype 'u32'");
}

/**
 * y[n, c] = W[expert(n, c)] · x[n] without bias, for the chosen experts alone: x [N, in] serves all choices of a token, x [N, k, in]
 * has a row for each. Few rows read each their own matrix; more are sorted by expert and multiplied in tiles. Sums have a fixed
 * order, so two runs agree to the last bit; an expert that nobody chose gets a gradient of exactly 0.
 *
 * @param weight  [E, out, in], f32, or f16, which gets no gradient
 * @returns [N, k, out]
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`, `TENSOR_ENGINE`.
 */
export function expertLinear(x: Tensor, weight: Tensor, rows: ExpertRows): Tensor {
  requireF32(x, "expertLinear");
  if (weight.dtype !== "f32" && weight.dtype !== "f16") throw new TensorError("TENSOR_DTYPE", `expertLinear with a weight of dtype ${weight.dtype}`, "cast it to f32 or f16");
  const { ids, experts } = rows;
  const [tokens, active] = ids.shape as [number, number];
  const [count, outputs, inputs] = weight.shape as [number, number, number];
  const shown = `expertLinear of x ${showShape(x.shape)} and weight ${showShape(weight.shape)} for ids ${showShape(ids.shape)} of ${experts} experts`;
  if (weight.rank !== 3 || count !== experts) shapeError(`${shown}: the weight has other experts`, "give a weight of shape [experts, out, in]");
  const perToken = x.rank === 2;
  if (x.shape.at(-1) !== inputs || x.shape[0] !== tokens || x.rank > 3 || (!perToken && x.shape[1] !== active)) shapeError(`${shown}: x does not fit`, `give x of shape [${tokens}, ${inputs}] or [${tokens}, ${active}, ${inputs}]`);
  const { engine } = x;
  if (weight.engine !== engine || ids.engine !== engine) throw new TensorError("TENSOR_ENGINE", `${shown}: tensors of several engines`, "make all operands with one engine");
  const learns = engine.gradEnabled && (x.requiresGrad || weight.requiresGrad);
  const fan = perToken ? active : 1;
  return engine.scope(() => {
    const [source, w] = engine.noGrad(() => [contiguous(x), contiguous(weight)] as const);
    const sorted = rows.sorted ?? (learns ? engine.noGrad(() => sortPairs(ids, experts)) : undefined);
    const y = engine.noGrad(() => (sorted === undefined ? fewProduct(source, w, ids, fan) : sortedProduct(source, w, sorted, !perToken, false)).reshape([tokens, active, outputs]));
    if (sorted === undefined) return y;
    const { order, tokens: rowsOfPairs, starts, tiles, tile } = sorted;
    return link(y, {
      name: "expertLinear",
      inputs: [x, weight],
      saves: [source, w, order, rowsOfPairs, starts, tiles],
      backward: (grad, [savedX, savedW, savedOrder, savedTokens, savedStarts, savedTiles]) => {
        const pairs: SortedPairs = { order: savedOrder!, tokens: savedTokens!, starts: savedStarts!, tiles: savedTiles!, tile };
        const g = contiguous(grad);
        const dx = x.requiresGrad ? sortedProduct(g, savedW!, pairs, true, true).reshape([tokens, active, inputs]) : undefined;
        return [dx && perToken ? sum(dx, [1]) : dx, weight.requiresGrad ? weightProduct(g, savedX!, pairs, !perToken, experts) : undefined];
      },
    });
  });
}
