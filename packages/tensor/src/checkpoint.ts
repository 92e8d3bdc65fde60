import { backward, link } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs `fn` without keeping what its backward pass needs; runs it again when the gradient arrives. Trades one more forward
 * pass for the memory of its activations (Chen et al., 2016, arXiv:1604.06174). Random operators repeat their numbers.
 *
 * @param fn  a function of `inputs` to one tensor; it may also use parameters from outside, which get their gradients too.
 */
export function checkpoint(fn: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  const [first] = inputs;
  if (first === undefined) return fn();
  const { engine } = first;
  if (!engine.gradEnabled) return fn(...inputs);
  const random = engine.randomPosition;
  const output = engine.noGrad(() => engine.scope(() => fn(...inputs).detach()));
  // Parameters used inside are unknown here, so the node must be on the tape even if no input needs a gradient.
  const anchor = inputs.some((x) => x.requiresGrad) ? undefined : trainableAlias(first);
  return link(output, {
    name: "checkpoint",
    inputs: anchor === undefined ? inputs : [anchor],
    saves: inputs,
    reachesFurther: true,
    backward: (grad, saved) => {
      const leaves = saved.map((x, i) => {
        const leaf = x.detach();
        leaf.requiresGrad = inputs[i]!.requiresGrad;
        return leaf;
      });
      const now = engine.randomPosition;
      engine.randomPosition = random;
      const again = engine.withGrad(true, () => engine.scope(() => fn(...leaves)));
      engine.randomPosition = now;
      if (again.requiresGrad) backward(again, grad);
      const gradients = leaves.map(({ grad: g }) => g);
      for (const g of gradients) if (g !== undefined) engine.track(g); // a leaf's gradient is nobody's; here it ends with the scope
      return anchor === undefined ? gradients : [undefined];
    },
  });
}

function trainableAlias(x: Tensor): Tensor {
  const alias = x.detach();
  alias.requiresGrad = true;
  return alias;
}
