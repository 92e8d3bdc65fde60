import type { Differentiable } from "./gradient-check.ts";

/** As much of a tensor as a gradient check needs: testkit knows tensors by shape, not by package. */
export interface DifferentiableTensor<T> {
  readonly size: number;
  readonly shape: readonly number[];
  readonly grad: T | undefined;
  read(): Promise<ArrayLike<number>>;
  backward(seed?: T): void;
}

/** As much of an engine as a gradient check needs. */
export interface TensorMaker<T> {
  tensor(data: Float32Array, shape: readonly number[], options: { readonly requiresGrad: boolean }): T;
}

/**
 * Makes a function of tensors what `checkGradients` runs: uploads the inputs, records forward and backward, reads back.
 * An input that got no gradient reports none, which the check refuses.
 */
export function onEngine<T extends DifferentiableTensor<T>>(
  engine: TensorMaker<T>,
  f: (inputs: Readonly<Record<string, T>>) => T,
): Differentiable {
  return async (values, seed) => {
    const inputs = Object.fromEntries(Object.entries(values).map(([name, { data, shape }]) => [name, engine.tensor(data, shape, { requiresGrad: true })]));
    const output = f(inputs);
    output.backward(engine.tensor(seed(output.size), output.shape, { requiresGrad: false }));
    const gradients: Record<string, ArrayLike<number>> = {};
    for (const [name, { grad }] of Object.entries(inputs)) if (grad !== undefined) gradients[name] = await grad.read();
    return { output: await output.read(), gradients };
  };
}
