import { headsFirst, rowsFirst, type AttentionProblem } from "../cases/attention-problem.ts";
import type { Contender } from "../contender.ts";
import { joined } from "../race.ts";
import { loadJax, type JaxDevice } from "./jax.ts";

/** jax-js's `dotProductAttention`, rows first, under one jit with its gradient where that is asked for. */
export function jaxAttention(device: JaxDevice): Contender<AttentionProblem> {
  return {
    name: `jax-js ${device} jit`,
    // Its WebAssembly runs on the CPU.
    role: device === "webgpu" ? "peer" : "native",
    async setup({ kind, causal, heads, kvHeads, headDim: d, queries, keys, q, k, v, grad, calls }) {
      const jax = await loadJax(device);
      jax.defaultDevice(device);
      const { numpy: np, nn } = jax;
      const upload = (x: Float32Array, count: number, rows: number) => np.array(rowsFirst(x, count, d)).reshape([1, rows, count, d]);
      const inputs = [upload(q, heads, queries), upload(k, kvHeads, keys), upload(v, kvHeads, keys)] as const;
      type JaxArray = (typeof inputs)[0];
      const attention = (...[a, b, c]: [JaxArray, JaxArray, JaxArray]): JaxArray => nn.dotProductAttention(a, b, c, { isCausal: causal });
      const forward = jax.jit((a: JaxArray, b: JaxArray, c: JaxArray) => [attention(a, b, c)]);
      const upstream = kind === "backward" ? upload(grad, heads, queries) : undefined;
      const loss = (a: JaxArray, b: JaxArray, c: JaxArray, g: JaxArray): JaxArray => attention(a, b, c).mul(g).sum();
      const backward = jax.jit((a: JaxArray, b: JaxArray, c: JaxArray, g: JaxArray) => jax.grad(loss, { argnums: [0, 1, 2] })(a, b, c, g));
      const once = (): JaxArray[] => {
        const [a, b, c] = [inputs[0].ref, inputs[1].ref, inputs[2].ref];
        return upstream === undefined ? forward(a, b, c) : backward(a, b, c, upstream.ref);
      };
      return {
        async run() {
          jax.defaultDevice(device);
          const results = Array.from({ length: calls }, once);
          await jax.blockUntilReady(results);
          const last = results.pop() ?? [];
          for (const result of results.flat()) result.dispose();
          const read: Float32Array[] = [];
          for (const array of last) read.push((await array.data()) as Float32Array);
          return read;
        },
        arrange(parts) {
          const counts = kind === "backward" ? [heads, kvHeads, kvHeads] : [heads];
          return joined(parts.map((part, i) => headsFirst(part, counts[i] ?? 1, d)));
        },
        close() {
          for (const array of [...inputs, ...(upstream ? [upstream] : [])]) array.dispose();
        },
      };
    },
  };
}
