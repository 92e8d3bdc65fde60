import type { Parameter } from "@polyhead/model";
import type { Routing, Tensor } from "@polyhead/tensor";

export interface ExpertOptimizerOptions {
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** What is known of one expert in one parameter. */
interface ExpertState {
  readonly first: Float64Array;
  readonly second: Float64Array;
  steps: number;
}

interface Stacked {
  readonly path: string;
  readonly parameter: Parameter;
  readonly experts: ExpertState[];
}

const STACKED = /^(.*)\.experts\.(up|down)$/;

/**
 * AdamW where every expert is a parameter of its own, as in the reference: one that no token has been routed to yet has no gradient,
 * so it does not move, does not decay, and its steps are not counted. Ours are one parameter, so this is done on the host, for the
 * experts alone.
 */
export class ExpertOptimizer {
  readonly #options: ExpertOptimizerOptions;
  readonly #stacked: readonly Stacked[];
  #heard: { readonly path: string; readonly experts: Tensor }[] = [];

  constructor(parameters: readonly Parameter[], options: ExpertOptimizerOptions) {
    this.#options = options;
    this.#stacked = parameters.filter(({ name }) => STACKED.test(name)).map((parameter) => {
      const { shape, size } = parameter.tensor;
      const count = shape[0]!;
      const state = (): ExpertState => ({ first: new Float64Array(size / count), second: new Float64Array(size / count), steps: 0 });
      return { path: STACKED.exec(parameter.name)![1]!, parameter, experts: Array.from({ length: count }, state) };
    });
  }

  /** Whether a parameter is moved here. */
  owns({ name }: Parameter): boolean {
    return STACKED.test(name);
  }

  /** Hears who is chosen; for a forward pass. */
  readonly observe = (path: string, { experts }: Routing): void => {
    this.#heard.push({ path, experts: experts.engine.keep(experts.contiguous()) });
  };

  /** One update from the gathered gradients, which it clears. */
  async step(): Promise<void> {
    const chosen = new Map<string, Set<number>>();
    for (const { path, experts } of this.#heard) {
      chosen.set(path, new Set(Array.from(await experts.read())));
      experts.dispose();
    }
    this.#heard = [];
    for (const { path, parameter: { tensor }, experts } of this.#stacked) {
      const weights = (await tensor.read()) as Float32Array;
      const gradient = ((await tensor.grad?.read()) ?? new Float32Array(tensor.size)) as Float32Array;
      for (const [e, state] of experts.entries()) {
        // A gradient that was once made is zeros afterwards, and counts.
        if (state.steps === 0 && chosen.get(path)?.has(e) !== true) continue;
        const at = e * state.first.length;
        move(weights.subarray(at, at + state.first.length), gradient.subarray(at, at + state.first.length), state, this.#options);
      }
      tensor.engine.upload(tensor, weights);
      tensor.zeroGrad();
    }
  }
}

function move(weights: Float32Array, gradient: Float32Array, state: ExpertState, { rate, beta1, beta2, epsilon, weightDecay }: ExpertOptimizerOptions): void {
  const { first, second } = state;
  const step = ++state.steps;
  const [unbiased1, unbiased2] = [1 - beta1 ** step, 1 - beta2 ** step];
  for (let i = 0; i < weights.length; i++) {
    const g = gradient[i]!;
    first[i] = beta1 * first[i]! + (1 - beta1) * g;
    second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
    weights[i] = weights[i]! * (1 - rate * weightDecay) - (rate * first[i]!) / unbiased1 / (Math.sqrt(second[i]! / unbiased2) + epsilon);
  }
}
