import type { NormLayer, TensorLike } from "@polyhead/core";
import { checkGradients } from "./gradient-check.ts";
import type { Law } from "./laws.ts";
import { uniform } from "./random.ts";
import { onEngine, type DifferentiableTensor, type TensorMaker } from "./tensors.ts";

/** What every norm plugin must keep: its kernel equals its formula in float64, with the gradient of every input, at odd sizes. */
export function normLaws<T extends DifferentiableTensor<T> & TensorLike>(engine: TensorMaker<T>, create: (width: number) => NormLayer<T>): Law[] {
  return [[1, 7], [5, 100], [3, 129]].map(([rows = 0, width = 0]) => ({
    name: `the kernel equals the formula in float64, with every gradient: ${rows} rows of ${width}`,
    async check() {
      const layer = create(width);
      const params = Object.fromEntries(Object.entries(layer.params).map(([name, { shape }], i) => [name, { shape, data: uniform(width, 10 + i).map((x) => 1 + x) }]));
      await checkGradients(
        {
          inputs: { x: { shape: [rows, width], data: uniform(rows * width, 1).map((x) => 3 * x + 1) }, ...params },
          reference: ({ x, ...gains }) => layer.reference(x!, width, gains),
          run: onEngine(engine, ({ x, ...gains }) => layer.apply(x!, gains)),
        },
        { entries: 15 },
      );
    },
  }));
}
