import type { Array as JaxArray } from "@jax-js/jax";
import { adam, normEpsilon, type GptProblem, type GptShape } from "../cases/gpt-problem.ts";
import type { Contender } from "../contender.ts";
import { loadJax, type JaxDevice, type JaxModule } from "./jax.ts";

type Tree = Record<string, JaxArray>;

/** jax-js with the whole step, Adam included, under one jit. Values are moved when used: `.ref` keeps one for later. */
export function jaxGpt(device: JaxDevice): Contender<GptProblem> {
  return {
    name: `jax-js ${device} jit`,
    async setup(problem) {
      const jax = await loadJax(device);
      jax.defaultDevice(device);
      const { numpy: np } = jax;
      const tree = (make: (name: string) => JaxArray): Tree =>
        Object.fromEntries(Object.keys(problem.weights).map((name) => [name, make(name)]));
      const shapeOf = (name: string): number[] => [...(problem.weights[name]?.shape ?? [])];
      let weights = tree((name) => np.array(problem.weights[name]!.data).reshape(shapeOf(name)));
      let first = tree((name) => np.zeros(shapeOf(name)));
      let second = tree((name) => np.zeros(shapeOf(name)));
      const step = jax.jit(adamStep(jax, problem.shape));
      let steps = 0;
      return {
        async run() {
          jax.defaultDevice(device);
          const { ids, targets } = problem.batch(steps++);
          const correct1 = np.array(1 / (1 - adam.beta1 ** steps));
          const correct2 = np.array(1 / (1 - adam.beta2 ** steps));
          const [loss, ...state] = step(weights, first, second, np.array(ids), np.array(targets), correct1, correct2);
          [weights, first, second] = state;
          const value = await loss.data();
          await weights["head"]!.blockUntilReady();
          return Float32Array.from(value as Float32Array);
        },
      };
    },
  };
}

function adamStep(jax: JaxModule, shape: GptShape) {
  const { numpy: np } = jax;
  const lossAndGradient = jax.valueAndGrad(gptLoss(jax, shape));
  return (weights: Tree, first: Tree, second: Tree, ids: JaxArray, targets: JaxArray, correct1: JaxArray, correct2: JaxArray): [JaxArray, Tree, Tree, Tree] => {
    const kept = Object.fromEntries(Object.entries(weights).map(([name, value]) => [name, value.ref]));
    const [loss, gradient] = lossAndGradient(kept, ids, targets);
    const next: [Tree, Tree, Tree] = [{}, {}, {}];
    for (const name of Object.keys(weights)) {
      const g = gradient[name]!;
      const m = first[name]!.mul(adam.beta1).add(g.ref.mul(1 - adam.beta1));
      const v = second[name]!.mul(adam.beta2).add(np.square(g).mul(1 - adam.beta2));
      const root = np.sqrt(v.ref.mul(correct2.ref)).add(adam.epsilon);
      next[0][name] = weights[name]!.sub(m.ref.mul(correct1.ref).div(root).mul(adam.rate));
      next[1][name] = m;
      next[2][name] = v;
    }
    correct1.dispose();
    correct2.dispose();
    return [loss, ...next];
  };
}

function gptLoss(jax: JaxModule, { layers, width, heads, context, batch, vocab }: GptShape) {
  const { numpy: np, nn } = jax;
  return (weights: Tree, ids: JaxArray, targets: JaxArray): JaxArray => {
    const take = (name: string): JaxArray => weights[name]!;
    const norm = (x: JaxArray, name: string): JaxArray => {
      const mean = np.mean(x.ref, -1, { keepdims: true });
      const centered = x.sub(mean);
      const variance = np.mean(np.square(centered.ref), -1, { keepdims: true });
      const unit = centered.mul(np.reciprocal(np.sqrt(variance.add(normEpsilon))));
      return unit.mul(take(`${name}.weight`)).add(take(`${name}.bias`));
    };
    const linear = (x: JaxArray, name: string): JaxArray => np.matmul(x, take(`${name}.weight`)).add(take(`${name}.bias`));
    // A one-hot product, since the gradient of a gather is a scatter, which jax-js does not jit.
    const embedded = np.matmul(nn.oneHot(ids, vocab), take("wte")).reshape([batch, context, width]);
    let x = embedded.add(take("wpe"));
    for (let layer = 0; layer < layers; layer++) {
      const at = String(layer);
      const qkv = linear(norm(x.ref, `${at}.norm1`), `${at}.qkv`).reshape([batch, context, 3, heads, width / heads]);
      const q = qkv.ref.slice([], [], 0);
      const k = qkv.ref.slice([], [], 1);
      const v = qkv.slice([], [], 2);
      const mixed = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([batch, context, width]);
      x = x.add(linear(mixed, `${at}.proj`));
      x = x.add(linear(nn.gelu(linear(norm(x.ref, `${at}.norm2`), `${at}.up`)), `${at}.down`));
    }
    const logits = np.matmul(norm(x, "norm"), take("head")).reshape([batch * context, vocab]);
    const picked = nn.logSoftmax(logits, -1).mul(nn.oneHot(targets, vocab));
    return picked.sum().mul(-1 / (batch * context));
  };
}
