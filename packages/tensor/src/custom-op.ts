import type { OperatorName } from "./anomalies.ts";
import { link, type Backward } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

export interface CustomOp<Options> {
  /** What messages of the anomaly mode call it. */
  readonly name?: OperatorName;
  /** Runs the kernels. Tensors made inside are released, except for what it returns. */
  forward(inputs: readonly Tensor[], options: Options): { readonly output: Tensor; readonly saves?: readonly Tensor[] };
  /** The vector-Jacobian product; left out, the operator has no gradient. */
  backward?(grad: Tensor, saved: readonly Tensor[], options: Options): ReturnType<Backward>;
}

/** An operator of one's own, with its place on the tape. */
export function customOp<Options>(op: CustomOp<Options>): (inputs: readonly Tensor[], options: Options) => Tensor {
  return (inputs, options) => {
    const { engine } = inputs[0]!;
    return engine.scope(() => {
      const { output, saves } = engine.noGrad(() => op.forward(inputs, options));
      if (op.backward === undefined) return output;
      return link(output, { ...(op.name !== undefined && { name: op.name }), inputs, ...(saves && { saves }), backward: (grad, saved) => op.backward!(grad, saved, options) });
    });
  };
}
