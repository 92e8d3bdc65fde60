/** One library's way of solving a case. Heavy imports belong in `setup`, so that a contender that is left out costs nothing. */
export interface Contender<Problem> {
  readonly name: string;
  /** Uploads the inputs and prepares everything that a user would prepare once. Throwing here is reported, not hidden. */
  setup(problem: Problem): Promise<Runner>;
}

/** A contender that stands ready. */
export interface Runner {
  /** One repetition; resolves once every bit of its GPU work is done and the result lies in host memory. */
  run(): Promise<Float32Array>;
  /** Figures to print beside the time, such as dispatches a step; read once, after the race. */
  facts?(): Record<string, number>;
  close?(): void;
}

/** What a case asks of its contenders. */
export interface Case<Problem> {
  readonly bench: string;
  readonly name: string;
  readonly problem: Problem;
  readonly contenders: readonly Contender<Problem>[];
  /** Floating-point operations of one product or step. */
  readonly flops: number;
  /** Products or steps that one `run` does; times are reported for one. */
  readonly perRun: number;
  /** Untimed repetitions; each is checked. At least one, in which most libraries compile. */
  readonly warmups: number;
  /** Error of the output of the repetition with this number, counted from 0 with the warm-ups; 0 is exact. */
  error(output: Float32Array, repetition: number): number;
  readonly tolerance: number;
  /** The adapter's own ceiling, GFLOP/s, where the case measured one. */
  readonly ceilingGflops?: number;
}
