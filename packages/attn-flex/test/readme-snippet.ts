import { and, causal, createBlockMask, custom, documents, flexAttention, maskMod, scoreMod } from "@polyhead/attn-flex";
import { placeholder } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, normal } from "@polyhead/tensor";

/* eslint-disable no-console -- a README prints */
/** The snippet of the README, as written. */
export async function snippet(): Promise<void> {
  // README begins
  const engine = createEngine(await openNodeGpu());
  const [B, H, T, D] = [1, 2, 96, 16];
  const rows = (seed: number) => engine.tensor(normal(B * H * T * D, { std: 1, seed, stream: 0 }), [B, H, T, D], { requiresGrad: true });
  const [q, k, v] = [rows(1), rows(2), rows(3)];

  // Who sees whom: three documents in one row, each causal, at most 48 positions back.
  const ids = Int32Array.from({ length: T }, (_, position) => Math.floor(position / 32));
  const mask = and(causal(), documents(ids), custom(maskMod`q - kv < 48`));

  // What acts on scores: a learned number for each head and distance. Its gradient comes too.
  const bias = placeholder([H, 9], { name: "bias" });
  const table = engine.zeros([H, 9]);
  table.requiresGrad = true;

  const blockMask = createBlockMask(engine, mask, { queries: T, keys: T, queryBlock: 16, keyBlock: 16 });
  console.log((await blockMask.sparsity()).skipped.toFixed(2)); // "0.75"

  const { o } = flexAttention({ q, k, v, blockMask, scoreMod: scoreMod`score + ${bias}[h, clamp(kv - q, -8, 0) + 8]`, tables: { bias: table } });
  o.backward(engine.full(o.shape, 1));
  console.log(o.shape.join(), table.grad?.shape.join()); // "1,2,96,16" "2,9"
  // README ends
}
