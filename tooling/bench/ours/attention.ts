import { unfusedAttention } from "@polyhead/attn-mha/kernel";
import { causal, full, type KernelInputs } from "@polyhead/core";
import { createEngine, tuneMatmul, type Tensor } from "@polyhead/tensor";
import type { AttentionProblem } from "../cases/attention-problem.ts";
import type { Contender } from "../contender.ts";
import { flashKernel, type AttentionKernel } from "./flash.ts";
import { ourGpu } from "./gpu.ts";

export const ourFlash: Contender<AttentionProblem> = contender("polyhead flash", flashKernel);
export const ourUnfused: Contender<AttentionProblem> = contender("polyhead unfused", () => unfusedAttention);

function contender(name: string, load: () => AttentionKernel): Contender<AttentionProblem> {
  return {
    name,
    role: "ours",
    async setup(problem) {
      const { kind, heads, kvHeads, headDim: d, queries, keys, calls } = problem;
      const kernel = load();
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
        const o = engine.scope(() => kernel(inputs).o);
        if (upstream === undefined) {
          engine.flush();
          return [o];
        }
        o.backward(upstream);
        o.dispose();
        const gradients = [q, k, v].map((input) => input.grad!.alias());
        for (const input of [q, k, v]) input.zeroGrad();
        engine.flush();
        return gradients;
      };
      const release = (tensors: readonly Tensor[]): void => { for (const tensor of tensors) tensor.dispose(); };

      // The first call shows the tuner which products there are, and how much memory a call takes.
      gpu.trim();
      const before = gpu.stats.liveBytes;
      gpu.pool.peakBytes = before;
      release(once());
      await gpu.settled();
      const peakBytes = gpu.stats.peakBytes - before;
      await tuneMatmul(engine, undefined, { budgetMs: 30_000 });
      return {
        async run() {
          for (let call = 1; call < calls; call++) release(once());
          const last = once();
          const read: Float32Array[] = [];
          for (const tensor of last) read.push((await tensor.read()) as Float32Array);
          release(last);
          return read;
        },
        facts: () => ({ "bytes of q, k, v and o": 4 * (2 * problem.q.length + problem.k.length + problem.v.length), "peak bytes of a call beside its inputs": peakBytes }),
        close() {
          release([q, k, v, ...(upstream ? [upstream] : [])]);
          gpu.trim();
        },
      };
    },
  };
}
