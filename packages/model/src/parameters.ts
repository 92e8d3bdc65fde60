import type { Params, ParamSpec, ParamSpecs } from "@polyhead/core";
import { normal, type Engine, type Tensor } from "@polyhead/tensor";

/** One learned (or fixed) tensor of a model, by its full name. */
export interface Parameter {
  readonly name: string;
  readonly spec: ParamSpec;
  readonly tensor: Tensor;
}

/**
 * Allocates parameters in declaration order. Normal inits are drawn on the host from the engine's seed, one Philox
 * stream a parameter, so a seed gives the same model on every device.
 */
export class Parameters {
  readonly #engine: Engine;
  readonly #layers: number;
  readonly #all = new Map<string, Parameter>();

  /** @param layers  scales the init of projections into the residual stream by 1/√(2·layers) */
  constructor(engine: Engine, layers: number) {
    this.#engine = engine;
    this.#layers = layers;
  }

  /** Makes the tensors behind `specs` under `prefix`, and returns them by local name. */
  create(prefix: string, specs: ParamSpecs): Params<Tensor> {
    const made: Record<string, Tensor> = {};
    for (const [local, spec] of Object.entries(specs)) {
      const name = `${prefix}.${local}`;
      const tensor = this.#engine.keep(this.#engine.tensor(this.#initial(spec), spec.shape, { requiresGrad: spec.trainable ?? true }));
      this.#all.set(name, { name, spec, tensor });
      made[local] = tensor;
    }
    return made;
  }

  get all(): readonly Parameter[] {
    return [...this.#all.values()];
  }

  /** Those that training changes. */
  get trainable(): readonly Parameter[] {
    return this.all.filter(({ tensor }) => tensor.requiresGrad);
  }

  get(name: string): Parameter | undefined {
    return this.#all.get(name);
  }

  /** Number of scalars. */
  get count(): number {
    return this.all.reduce((sum, { tensor }) => sum + tensor.size, 0);
  }

  zeroGrad(): void {
    for (const { tensor } of this.all) tensor.zeroGrad();
  }

  dispose(): void {
    this.zeroGrad();
    for (const { tensor } of this.all) tensor.dispose();
  }

  #initial({ shape, init, residual = false }: ParamSpec): Float32Array {
    const size = shape.reduce((product, n) => product * n, 1);
    if (init === "zeros") return new Float32Array(size);
    if (init === "ones") return new Float32Array(size).fill(1);
    if (init.kind === "values") return init.data;
    const std = residual ? init.std / Math.sqrt(2 * this.#layers) : init.std;
    return normal(size, { mean: 0, std, seed: this.#engine.seed, stream: this.#all.size });
  }
}
