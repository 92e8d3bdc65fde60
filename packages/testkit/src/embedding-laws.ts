import { lookUp, scoreTokens, type EmbeddingLayer, type TensorLike } from "@polyhead/core";
import { assertClose } from "./compare.ts";
import { checkGradients } from "./gradient-check.ts";
import type { Law } from "./laws.ts";
import { uniform } from "./random.ts";
import { onEngine, type DifferentiableTensor, type TensorMaker } from "./tensors.ts";

export interface EmbeddingUnderTest<T extends TensorLike> {
  readonly layer: EmbeddingLayer<T>;
  readonly vocab: number;
  readonly width: number;
  /** The parameter that tokens are looked up in, and the one that scores them. */
  readonly table: string;
  readonly head: string;
  /** u32 ids as a tensor. */
  readonly ids: (ids: readonly number[], shape: readonly number[]) => T;
}

const IDS = [3, 0, 10, 3, 7, 3];

/** What every embedding plugin must keep: look-up, logits and loss equal their formulas in float64, with their gradients. */
export function embeddingLaws<T extends DifferentiableTensor<T> & TensorLike>(engine: TensorMaker<T>, { layer, vocab, width, table, head, ids }: EmbeddingUnderTest<T>): Law[] {
  const values = Object.fromEntries(Object.keys(layer.params).map((name, i) => [name, { shape: [vocab, width], data: uniform(vocab * width, i + 1) }]));
  const others = (): Record<string, T> => Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, engine.tensor(data, shape, { requiresGrad: false })]));
  const hidden = { shape: [2, 3, width], data: uniform(IDS.length * width, 9) };
  return [
    {
      name: "tokens are looked up, and the gradients of those that come again add up",
      check: async () => {
        await checkGradients({
          inputs: { [table]: values[table]! },
          reference: (v) => lookUp(IDS, v[table]!, width),
          run: onEngine(engine, (t) => layer.embed(ids(IDS, [2, 3]), { ...others(), ...t })),
        });
      },
    },
    {
      name: "every token is scored against a hidden state",
      check: async () => {
        await checkGradients({
          inputs: { hidden, [head]: values[head]! },
          reference: (v) => scoreTokens(v["hidden"]!, v[head]!, width),
          run: onEngine(engine, ({ hidden: h, ...t }) => layer.logits(h!, { ...others(), ...t })),
        });
      },
    },
    {
      name: "the loss is the mean cross-entropy of the logits",
      check: async () => {
        const logits = scoreTokens(Float64Array.from(hidden.data), Float64Array.from(values[head]!.data), width);
        const losses = IDS.map((id, row) => {
          const own = logits.subarray(row * vocab, (row + 1) * vocab);
          return Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0)) - own[id]!;
        });
        const h = engine.tensor(hidden.data, hidden.shape, { requiresGrad: false });
        assertClose(await layer.loss!(h, ids(IDS, [2, 3]), others()).read(), [losses.reduce((a, b) => a + b, 0) / IDS.length], { label: "loss" });
      },
    },
  ];
}
