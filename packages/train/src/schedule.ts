/** Learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number;

export interface CosineOptions {
  readonly peak: number;
  /** Where it ends; default peak / 10. */
  readonly floor?: number;
  readonly warmup: number;
  /** The step at which it reaches the floor. */
  readonly total: number;
}

/** Linear warm-up, then half a cosine down to the floor (Loshchilov and Hutter, 2017; nanoGPT's recipe, step for step). */
export function warmupCosine({ peak, floor = peak / 10, warmup, total }: CosineOptions): Schedule {
  return (step) => {
    if (step < warmup) return (peak * (step + 1)) / (warmup + 1);
    if (step >= total) return floor;
    const done = (step - warmup) / (total - warmup);
    return floor + 0.5 * (1 + Math.cos(Math.PI * done)) * (peak - floor);
  };
}

export const constantRate = (rate: number): Schedule => () => rate;
