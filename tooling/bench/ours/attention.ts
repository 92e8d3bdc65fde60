import { causal, full, type KernelInputs } from "@polyhead/core";
import { createEngine, type Tensor } from "@polyhead/tensor";
import type { AttentionProblem } from "../cases/attention-problem.ts";
import type { Contender } from "../contender.ts";
import { flash, unfused, type AttentionKernel } from "./flash.ts";
import { ourGpu } from "./gpu.ts";

export const ourFlash: Contender<AttentionProblem> = contender(flash);
export const ourUnfused: Contender<AttentionProblem> = contender(unfused);
/** For cases whose memory counts and not their time: some take too long to be tuned for. */
export const oursUntuned: readonly Contender<AttentionProblem>[] = [flash, unfused].map((kernel) => contender({ ...kernel, tune: () => Promise.resolve() }));

function contender(kernel: AttentionKernel): Contender<AttentionProblem> {
  return {
    name: kernel.name,
    role: "ours",
    async setup(problem) {
      const { kind, heads, kvHeads, headDim: d, queries, keys, calls } = problem;
      const gpu = await ourGpu();
      const engine = createEngine(gpu);
      const leaf = (data: Float32Array, count: number, rows: number): Tensor => engine.tensor(data, [1, count, rows, d], { requiresGrad: kind === "backward" });
      const [q, k, v] = [leaf(problem.q, heads, queries), leaf(problem.k, kvHeads, keys), leaf(problem.v, kvHeads, keys)];
      const upstream = kind === "backward" ? engine.tensor(problem.grad, [1, heads, queries, d]) : undefined;
      const inputs: KernelInputs<Tensor> = {
        q, k, v,
        scale: 1 / Math.sqrt(d),
        mask: problem.causal ? causal() : full(),
        qOffset: keys - queries,
        kvOffset: 0,
        qk: [], score: [],
        dropout: 0,
      };
      /** What a call leaves for the caller: its output, or the gradients of its inputs. */
      const once = (): readonly Tensor[] => {
        const results = upstream === undefined ? [engine.noGrad(() => engine.scope(() => kernel.run(inputs).o))] : gradients(upstream);
        engine.flush();
        return results;
      };
      const gradients = (grad: Tensor): readonly Tensor[] => {
        const o = engine.scope(() => kernel.run(inputs).o);
        o.backward(grad);
        o.dispose();
        return [q, k, v].map((input) => {
          const gradient = input.grad!.alias();
          input.zeroGrad();
          return gradient;
        });
      };
      const release = (tensors: readonly Tensor[]): void => { for (const tensor of tensors) tensor.dispose(); };

      await kernel.tune(engine, problem, () => { release(once()); });
      // The device is shared with contenders that keep their tensors meanwhile: what counts is what comes on top.
      const before = gpu.stats.liveBytes;
      gpu.pool.peakBytes = before;
      // A decode step is replayed, as generation does with it.
      const step = kind === "decode" ? engine.record(once) : undefined;
      if (step === undefined) release(once());
      const peakBytes = gpu.stats.peakBytes - before;
      return {
        async run() {
          for (let call = 1; call < calls; call++) {
            if (step === undefined) release(once());
            else step.replay();
          }
          step?.replay();
          const last = step?.outputs ?? once();
          const read: Float32Array[] = [];
          for (const tensor of last) read.push((await tensor.read()) as Float32Array);
          if (step === undefined) release(last);
          return read;
        },
        facts: () => ({
          ...kernel.facts?.(engine, problem),
          "bytes of its inputs": 4 * (problem.q.length + problem.k.length + problem.v.length + problem.grad.length),
          "peak bytes beside them": peakBytes,
        }),
        close() {
          step?.dispose();
          release([q, k, v, ...(upstream ? [upstream] : [])]);
          gpu.trim();
        },
      };
    },
  };
}
