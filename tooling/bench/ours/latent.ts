import { flash } from "@polyhead/attn-flash";
import { tuneFlash } from "@polyhead/attn-flash/kernel";
import { cacheSaving, mla } from "@polyhead/attn-mla";
import { causal, type PlannedKernel } from "@polyhead/core";
import { createEngine, tuneMatmul, type Tensor } from "@polyhead/tensor";
import type { LatentProblem } from "../cases/latent-problem.ts";
import type { Contender } from "../contender.ts";
import { ourGpu } from "./gpu.ts";
import { tokenMeter } from "./token-meter.ts";

/** Nothing acts on its scores, so any sizes are planned alike. */
const planned: PlannedKernel<Tensor> = { kernel: flash, how: {} };

/** One layer's step, recorded once and replayed. */
export const ourLatent = (form: "absorbed" | "naive"): Contender<LatentProblem> => ({
  name: `polyhead ${form}`,
  role: "ours",
  async setup({ shape, weights, held, rows, x, steps, seen }) {
    const gpu = await ourGpu();
    const engine = createEngine(gpu);
    const { width, ...sizes } = shape;
    const layer = mla.create({ ...sizes, decode: form }, { width, headDim: sizes.ropeDim, heads: sizes.heads, layers: 1, context: rows + steps, vocab: 1, dropout: 0, causal: true });
    const params = Object.fromEntries(Object.entries(layer.params).map(([name, spec]) => [name, engine.tensor(weights[name] ?? [], spec.shape)]));
    const cache = layer.createCache(engine, { batch: 1, capacity: rows + steps, kind: "static" });
    const [storage] = Object.values(cache.tensors);
    engine.upload(storage!.narrow(2, 0, rows), held);
    const input = engine.tensor(x, [1, 1, width]);
    const rewind = (): void => {
      cache.truncate(0);
      cache.advance(rows);
    };
    const once = (): Tensor => engine.noGrad(() => layer.apply(input, params, { hooks: [], mask: causal(), plan: planned, planFor: () => planned, offset: 0, cache, dropout: 0 }));
    rewind();
    once().dispose();
    await gpu.settled();
    await tuneMatmul(engine, undefined, { budgetMs: 20_000 });
    await tuneFlash(engine, undefined, { budgetMs: 10_000, passes: ["forward"] });
    rewind();
    cache.reserve(1);
    const step = engine.record(once);
    const meter = tokenMeter(gpu);
    const numbers = cacheSaving({ layers: 1, ...sizes, kvHeads: 1 });
    const bytesOf = (each: number): number => 4 * each * cache.capacity;
    return {
      async run() {
        rewind();
        for (let i = 0; i < steps; i++) {
          meter.token(() => {
            cache.reserve(1);
            step.replay();
            cache.advance(1);
            gpu.flush();
          });
        }
        const output = (await step.outputs.read()) as Float32Array;
        seen.set(form, output);
        return output;
      },
      decoding: () => ({ ...meter.figures(), bytes: cache.bytes }),
      facts() {
        const [absorbed, naive] = [seen.get("absorbed"), seen.get("naive")];
        const difference = absorbed && naive && absorbed.reduce((worst, value, i) => Math.max(worst, Math.abs(value - naive[i]!)), 0) / naive.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        return {
          ...(difference !== undefined && { "absorbed from naive": difference.toExponential(1) }),
          ...meter.facts(),
          "cache bytes of multi-head": bytesOf(numbers.multiHead),
          "cache bytes of grouped-query, 1 key head": bytesOf(numbers.groupedQuery),
        };
      },
      close() {
        step.dispose();
        cache.dispose();
        for (const tensor of [input, ...Object.values(params)]) tensor.dispose();
        gpu.trim();
      },
    };
  },
});
