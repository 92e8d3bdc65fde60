import type { Parameter, Parameters } from "@polyhead/model";
import { adamwStep, type Tensor } from "@polyhead/tensor";

export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /**
   * Decoupled decay of the parameters whose spec says so (matrices and tables); or of each as a function says, `() => 0.01` for
   * all alike, as PyTorch does without parameter groups. Default 0.01.
   */
  readonly weightDecay?: number | ((parameter: Parameter) => number);
  /** Largest global gradient norm; larger gradients are scaled down to it. Default: no clipping. */
  readonly clip?: number;
}

/** A learning rate, or what says it anew at every replay. */
export type Rate = number | { readonly value: number };

const live = (of: () => number): { readonly value: number } => ({ get value() { return of(); } });

/** AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101) with PyTorch's bias correction and global-norm clipping on the GPU. */
export class AdamW {
  readonly options: Required<Omit<AdamWOptions, "clip">> & Pick<AdamWOptions, "clip">;
  readonly parameters: readonly Parameter[];
  /** Running means of gradient and squared gradient, by parameter. */
  readonly first: readonly Tensor[];
  readonly second: readonly Tensor[];
  /** Updates done so far. */
  steps = 0;
  readonly #decay: readonly number[];

  constructor(parameters: Pick<Parameters, "trainable">, options: AdamWOptions = {}) {
    this.options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, ...options };
    this.parameters = parameters.trainable;
    const zeros = ({ tensor }: Parameter): Tensor => tensor.engine.keep(tensor.engine.zeros(tensor.shape));
    this.first = this.parameters.map(zeros);
    this.second = this.parameters.map(zeros);
    const { weightDecay } = this.options;
    this.#decay = this.parameters.map((parameter) => (typeof weightDecay === "function" ? weightDecay(parameter) : parameter.spec.decay ? weightDecay : 0));
  }

  /**
   * One update from the gathered gradients, which it clears. In a recorded step, every replay is the update that `steps`
   * and a live `rate` say at its time.
   *
   * @returns the global gradient norm before clipping, still on the GPU: f32 of one element
   */
  step(rate: Rate): Tensor {
    this.steps++;
    const step = live(() => this.steps);
    const { beta1, beta2, epsilon, clip } = this.options;
    const { norm } = adamwStep(
      this.parameters.map(({ tensor }) => tensor),
      { first: this.first, second: this.second },
      { rate, beta1, beta2, epsilon, step, weightDecay: this.#decay, ...(clip !== undefined && { clip }) },
    );
    for (const { tensor } of this.parameters) tensor.zeroGrad();
    return norm;
  }

  dispose(): void {
    for (const tensor of [...this.first, ...this.second]) tensor.dispose();
  }
}
