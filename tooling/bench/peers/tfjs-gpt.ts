import type { Scalar, Tensor, Tensor1D, Tensor2D, Variable } from "@tensorflow/tfjs";
import { adam, normEpsilon, type GptProblem } from "../cases/gpt-problem.ts";
import type { Contender } from "../contender.ts";
import { loadTfjs, type TfModule } from "./tfjs.ts";

/** tfjs, eager, with its own Adam. */
export const tfjsGpt: Contender<GptProblem> = {
  name: "tfjs webgpu",
  async setup(problem) {
    const tf = await loadTfjs();
    const weights = Object.fromEntries(
      Object.entries(problem.weights).map(([name, { shape, data }]) => [name, tf.variable(tf.tensor(data, [...shape]))]),
    );
    const optimizer = tf.train.adam(adam.rate, adam.beta1, adam.beta2, adam.epsilon);
    const loss = gptLoss(tf, problem, weights);
    let steps = 0;
    return {
      async run() {
        const { ids, targets } = problem.batch(steps++);
        const inputs = tf.tensor1d(ids, "int32");
        const labels = tf.tensor1d(targets, "int32");
        const value = optimizer.minimize(() => loss(inputs, labels), true)!;
        const result = await value.data();
        await weights["head"]!.data();
        tf.dispose([value, inputs, labels]);
        return Float32Array.from(result);
      },
    };
  },
};

function gptLoss(tf: TfModule, { shape }: GptProblem, weights: Record<string, Variable>) {
  const { layers, width, heads, context, batch, vocab } = shape;
  const rows = batch * context;
  const head = width / heads;
  const future = Float32Array.from({ length: context * context }, (_, i) => (i % context > Math.floor(i / context) ? -1e9 : 0));
  const mask = tf.tensor4d(future, [1, 1, context, context]);
  const take = (name: string): Variable => weights[name]!;
  const norm = (x: Tensor, name: string): Tensor => {
    const centered = tf.sub(x, tf.mean(x, -1, true));
    const unit = tf.mul(centered, tf.rsqrt(tf.add(tf.mean(tf.square(centered), -1, true), normEpsilon)));
    return tf.add(tf.mul(unit, take(`${name}.weight`)), take(`${name}.bias`));
  };
  const linear = (x: Tensor, name: string): Tensor => tf.add(tf.matMul(x, take(`${name}.weight`)), take(`${name}.bias`));
  const gelu = (x: Tensor): Tensor => {
    const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.mul(x, tf.square(x)))));
    return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
  };
  const byHead = (x: Tensor): Tensor => tf.transpose(tf.reshape(x, [batch, context, heads, head]), [0, 2, 1, 3]);

  return (ids: Tensor1D, targets: Tensor1D): Scalar => {
    // All activations stay [rows, width]: tfjs multiplies a matrix of two dimensions faster than a batch of them.
    const positions = tf.tile(take("wpe") as Tensor2D, [batch, 1]);
    let x: Tensor = tf.add(tf.matMul(tf.cast(tf.oneHot(ids, vocab), "float32"), take("wte")), positions);
    for (let layer = 0; layer < layers; layer++) {
      const at = String(layer);
      const parts = tf.split(linear(norm(x, `${at}.norm1`), `${at}.qkv`), 3, -1);
      const [q, k, v] = parts.map(byHead) as [Tensor, Tensor, Tensor];
      const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(head)), mask);
      const mixed = tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]);
      x = tf.add(x, linear(tf.reshape(mixed, [rows, width]), `${at}.proj`));
      x = tf.add(x, linear(gelu(linear(norm(x, `${at}.norm2`), `${at}.up`)), `${at}.down`));
    }
    const logits = tf.matMul(norm(x, "norm"), take("head"));
    const picked = tf.mul(tf.logSoftmax(logits), tf.cast(tf.oneHot(targets, vocab), "float32"));
    return tf.mul(tf.sum(picked), -1 / rows);
  };
}
