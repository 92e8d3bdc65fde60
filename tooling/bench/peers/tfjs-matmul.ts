import type { MatmulProblem } from "../cases/matmul-problem.ts";
import type { Contender } from "../contender.ts";
import { loadTfjs } from "./tfjs.ts";

/** tfjs, eager: every product is dispatched as it is called, so reading the last one waits for all. */
export const tfjsMatmul: Contender<MatmulProblem> = {
  name: "tfjs webgpu",
  async setup({ size, a, b, products }) {
    const tf = await loadTfjs();
    const left = tf.tensor2d(a, [size, size]);
    const right = tf.tensor2d(b, [size, size]);
    return {
      async run() {
        const results = Array.from({ length: products }, () => tf.matMul(left, right));
        const values = await results[products - 1]!.data();
        tf.dispose(results);
        return values as Float32Array;
      },
    };
  },
};
