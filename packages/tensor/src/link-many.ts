import type { OperatorName } from "./anomalies.ts";
import { attach } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

export interface LinkMany {
  /** What messages of the anomaly mode call the operator. */
  readonly name?: OperatorName;
  readonly inputs: readonly Tensor[];
  /** What backward reads; kept alive until then. */
  readonly saves?: readonly Tensor[];
  /** Gradients of the outputs (undefined for one that nobody used) in, gradients of the inputs out. */
  readonly backward: (grads: readonly (Tensor | undefined)[], saved: readonly Tensor[]) => readonly (Tensor | undefined)[];
}

/**
 * `link` for an operator with several outputs, whose backward pass runs once, when the gradients of all are known.
 *
 * The tape gives every node one output. So the operator's node stands behind a token that all outputs hang on: each output
 * hands its gradient over on the side, and the first to do so wakes the operator by delivering a gradient to the token.
 */
export function linkMany<const O extends readonly Tensor[]>(outputs: O, { name = "a custom operator", inputs, saves = [], backward }: LinkMany): O {
  const [first] = outputs;
  first?.engine.anomalies?.observe(name, outputs, inputs);
  if (first === undefined || !first.engine.gradEnabled || !inputs.some((x) => x.requiresGrad)) return outputs;
  const gathered: (Tensor | undefined)[] = outputs.map(() => undefined);
  const token = oneElement(first);
  attach(token, {
    inputs,
    saves,
    backward: (_, saved) => {
      const grads = [...gathered];
      gathered.fill(undefined);
      // Handed over outside of every scope; from here on they end with this node.
      for (const grad of grads) if (grad !== undefined) grad.engine.track(grad);
      const watch = first.engine.anomalies;
      if (watch === undefined) return backward(grads, saved);
      return watch.backward(name, [...grads.filter((grad) => grad !== undefined), ...saved], () => backward(grads, saved));
    },
  });
  outputs.forEach((output, i) => {
    attach(output, {
      inputs: [token],
      backward: (grad) => {
        const woken = gathered.some((other) => other !== undefined);
        gathered[i] = grad.alias();
        return [woken ? undefined : oneElement(grad)];
      },
    });
  });
  token.dispose(); // the tape needs its place, not its memory
  return outputs;
}

/** A view of one element, whose value nobody reads. */
function oneElement(x: Tensor): Tensor {
  return x.view({ shape: [1], strides: [1], offset: x.offset });
}
