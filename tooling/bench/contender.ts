/** One library's way of solving a case. Heavy imports belong in `setup`, so that a contender that is left out costs nothing. */
export interface Contender<Problem> {
  readonly name: string;
  /** What the others are compared with it as; default `peer`. */
  readonly role?: Role;
  /** Uploads the inputs and prepares everything that a user would prepare once. Throwing here is reported, not hidden. */
  setup(problem: Problem): Promise<Runner>;
}

/**
 * `peer`: another library on the same GPU. `native`: another library's CPU code. `yardstick`: other work, run in the same
 * race to show what the adapter can do; it has no rank.
 */
export type Role = "ours" | "peer" | "native" | "yardstick";

/** One array, or several that belong together, such as three gradients. */
export type Output = Float32Array | readonly Float32Array[];

/** A contender that stands ready. */
export interface Runner {
  /** One repetition; resolves once every bit of its GPU work is done and the result lies in host memory. */
  run(): Promise<Output>;
  /** Brings an output into the order that the case checks, outside of the timed span. Default: arrays one after the other. */
  arrange?(output: readonly Float32Array[]): Float32Array;
  /** Of a yardstick: what it does instead of the case's work. */
  readonly yardstick?: Yardstick;
  /** Figures to print beside the time, such as dispatches a step; read once, after the race. */
  facts?(): Facts;
  /** Of a decoder: what the report shows beside its time; read once, after the race. */
  decoding?(): Decoding;
  close?(): void;
}

export type Facts = Record<string, number | string>;

/** What a decoder costs beside its time. */
export interface Decoding {
  /** Main-thread time to send a token's work, in µs. */
  readonly jsMicroseconds?: number;
  /** Of its cache of keys and values, or of latents. */
  readonly bytes?: number;
  /** Of the matrices that every step reads, where they are not the case's. */
  readonly weightBytes?: number;
}

/** Work of another kind than the case's. */
export interface Yardstick {
  readonly flops: number;
  /** Bytes read and written by one of `perRun`. */
  readonly bytes: number;
  readonly perRun: number;
  error(output: Float32Array): number;
}

/** What a case asks of its contenders. */
export interface Case<Problem> {
  readonly bench: string;
  readonly name: string;
  readonly problem: Problem;
  readonly contenders: readonly Contender<Problem>[];
  /** Floating-point operations of one product or step. */
  readonly flops: number;
  /** Bytes that one product or step has to move at least, where that is what limits it. */
  readonly bytes?: number;
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
