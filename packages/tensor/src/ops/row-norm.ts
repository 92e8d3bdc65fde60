import { shapeError, showShape } from "../errors.ts";
import { normaliseColumns } from "../kernels/normalise-columns.ts";
import { normaliseRows, normaliseRowsBackward, type RowNorm, type RowStats } from "../kernels/normalise-rows.ts";
import { requireF32 } from "../operands.ts";
import { axisOf, sizeOf } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

export interface RowNormOptions {
  /** Added to the variance (layer norm) or the mean square (RMS norm), inside the root. */
  readonly eps: number;
  /** First normalised axis; it and all after it are one row. */
  readonly axis: number;
  readonly centre: boolean;
  readonly gammaOffset: number;
  readonly gamma: Tensor | undefined;
  readonly beta: Tensor | undefined;
}

/** What layer norm and RMS norm share: y with its place on the tape, and the statistics, which have none. Run it inside a scope. */
export function rowNorm(operator: string, x: Tensor, { eps, axis, centre, gammaOffset, gamma, beta }: RowNormOptions): RowStats & { readonly y: Tensor } {
  requireF32(x, operator);
  const split = axisOf(axis, x.rank);
  const length = sizeOf(x.shape.slice(split));
  const rows = sizeOf(x.shape.slice(0, split));
  for (const [name, tensor] of [["gamma", gamma], ["beta", beta]] as const) {
    if (tensor === undefined) continue;
    requireF32(tensor, operator);
    if (tensor.size !== length) shapeError(`${operator}: ${name} has shape ${showShape(tensor.shape)}, the normalised axes of ${showShape(x.shape)} are ${showShape(x.shape.slice(split))}`, `give ${name} the shape of the normalised axes`);
  }
  const { engine } = x;
  const norm: RowNorm = { rows, length, centre, gammaOffset };
  const saved = engine.noGrad(() => ({ x: contiguous(x), gamma: gamma && contiguous(gamma), beta: beta && contiguous(beta) }));
  const { y, inv, mean } = normaliseRows(saved.x, { ...norm, eps, ...(saved.gamma && { gamma: saved.gamma }), ...(saved.beta && { beta: saved.beta }) });
  link(y, {
    name: operator,
    inputs: [x, ...(gamma ? [gamma] : []), ...(beta ? [beta] : [])],
    saves: [saved.x, inv, ...(mean ? [mean] : []), ...(saved.gamma ? [saved.gamma] : [])],
    backward: (grad, kept) => {
      const [input, scale] = kept as [Tensor, Tensor];
      const stats: RowStats = { inv: scale, ...(centre && { mean: kept[2]! }) };
      const weight = gamma && kept.at(-1);
      const g = contiguous(grad);
      const dx = x.requiresGrad ? normaliseRowsBackward(g, input, stats, { ...norm, ...(weight && { gamma: weight }) }) : undefined;
      const columns = normaliseColumns(g, input, stats, norm, { gamma: gamma?.requiresGrad ?? false, beta: beta?.requiresGrad ?? false });
      return [dx, ...(gamma ? [columns.gamma?.reshape(gamma.shape)] : []), ...(beta ? [columns.beta?.reshape(beta.shape)] : [])];
    },
  });
  return { y, inv, ...(mean && { mean }) };
}
