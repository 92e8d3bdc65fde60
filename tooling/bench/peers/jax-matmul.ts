import type { MatmulProblem } from "../cases/matmul-problem.ts";
import type { Contender } from "../contender.ts";
import { loadJax } from "./jax.ts";

/** jax-js, jitted. A result must be waited for: one that is dropped before may never run. */
export const jaxMatmul: Contender<MatmulProblem> = {
  name: "jax-js webgpu jit",
  async setup({ size, a, b, products }) {
    const jax = await loadJax("webgpu");
    jax.defaultDevice("webgpu");
    const left = jax.numpy.array(a).reshape([size, size]);
    const right = jax.numpy.array(b).reshape([size, size]);
    const product = jax.jit((x: typeof left, y: typeof left) => jax.numpy.matmul(x, y));
    return {
      async run() {
        jax.defaultDevice("webgpu");
        const results = Array.from({ length: products }, () => product(left.ref, right.ref));
        await jax.blockUntilReady(results);
        const last = results.pop();
        for (const result of results) result.dispose();
        return (await last!.data()) as Float32Array;
      },
    };
  },
};
