import type { Tensor } from "@tensorflow/tfjs";
import type { AttentionProblem } from "../cases/attention-problem.ts";
import type { Contender } from "../contender.ts";
import { loadTfjs } from "./tfjs.ts";

/** tfjs has no attention of its own: product, mask, softmax, product, eager, with the heads of a group as rows of one product. */
export const tfjsAttention: Contender<AttentionProblem> = {
  name: "tfjs webgpu",
  async setup({ kind, causal, heads, kvHeads, headDim: d, queries, keys, q, k, v, grad, calls }) {
    const tf = await loadTfjs();
    const rows = (heads / kvHeads) * queries;
    const inputs: Tensor[] = [
      tf.tensor4d(q, [1, kvHeads, rows, d]),
      tf.tensor4d(k, [1, kvHeads, keys, d]),
      tf.tensor4d(v, [1, kvHeads, keys, d]),
    ];
    const upstream = kind === "backward" ? tf.tensor4d(grad, [1, kvHeads, rows, d]) : undefined;
    const future = causal ? tf.tensor4d(Float32Array.from({ length: queries * keys }, (_, i) => (i % keys > Math.floor(i / keys) ? -1e9 : 0)), [1, 1, queries, keys]) : undefined;
    const attention = (...[a, b, c]: Tensor[]): Tensor => {
      const scores = tf.matMul(tf.mul(a!, 1 / Math.sqrt(d)), b!, false, true);
      return tf.matMul(tf.softmax(future === undefined ? scores : tf.add(scores, future)), c!);
    };
    const gradients = tf.grads(attention);
    const once = (): Tensor[] => tf.tidy(() => (upstream === undefined ? [attention(...inputs)] : gradients(inputs, upstream)));
    return {
      async run() {
        for (let call = 1; call < calls; call++) tf.dispose(once());
        const last = once();
        const read = await Promise.all(last.map((tensor) => tensor.data()));
        tf.dispose(last);
        return read as Float32Array[];
      },
      close() {
        tf.dispose([...inputs, ...(upstream ? [upstream] : []), ...(future ? [future] : [])]);
      },
    };
  },
};
