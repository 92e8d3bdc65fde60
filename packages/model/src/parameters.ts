import type { BuildOptions, Params, ParamSpec, ParamSpecs } from "@polyhead/core";
import { normal, type Engine, type Tensor } from "@polyhead/tensor";

/** One learned (or fixed) tensor of a model, by its full name. */
export interface Parameter {
  readonly name: string;
  readonly spec: ParamSpec;
  readonly tensor: Tensor;
}

/** Whether a parameter, by its local name, is stored in halves where a model is. */
export type HalfRule = (local: string, spec: ParamSpec) => boolean;

/**
 * Allocates parameters in declaration order. Normal inits are drawn on the host from the engine's seed, one Philox
 * stream a parameter, so a seed gives the same model on every device.
 */
export class Parameters {
  readonly #engine: Engine;
  readonly #layers: number;
  readonly #options: BuildOptions;
  readonly #all = new Map<string, Parameter>();

  /** @param layers  scales the init of projections into the residual stream by 1/√(2·layers) */
  constructor(engine: Engine, layers: number, options: BuildOptions = {}) {
    this.#engine = engine;
    this.#layers = layers;
    this.#options = options;
  }

  /** Makes the tensors behind `specs` under `prefix`, and returns them by local name; in a model of halves those of `half` are f16. */
  create(prefix: string, specs: ParamSpecs, half: HalfRule = () => false): Params<Tensor> {
    const made: Record<string, Tensor> = {};
    for (const [local, spec] of Object.entries(specs)) {
      const name = `${prefix}.${local}`;
      const tensor = this.#make(spec, half(local, spec));
      this.#all.set(name, { name, spec, tensor });
      made[local] = tensor;
    }
    return made;
  }

  get all(): readonly Parameter[] {
    return [...this.#all.values()];
  }

  /** Those that training changes; none in a model of halves. */
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

  /** What `make` returns; where it throws, everything created so far is released, so that a model that cannot be built leaves nothing. */
  building<M>(make: () => M): M {
    try {
      return make();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  dispose(): void {
    this.zeroGrad();
    for (const { tensor } of this.all) tensor.dispose();
  }

  /** What is fixed is no checkpoint's business, so it is always filled. */
  #make(spec: ParamSpec, half: boolean): Tensor {
    const { empty = false, dtype = "f32" } = this.#options;
    const trainable = spec.trainable ?? true;
    const tensor = this.#engine.empty(spec.shape, dtype === "f16" && half ? "f16" : "f32");
    if (!empty || !trainable) this.#engine.upload(tensor, this.#initial(spec));
    // Halves gather no gradient, and a model whose norms alone would learn is nobody's wish.
    tensor.requiresGrad = trainable && dtype === "f32";
    return this.#engine.keep(tensor);
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
