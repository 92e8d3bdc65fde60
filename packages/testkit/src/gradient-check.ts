import { assertClose, FORWARD, GRADIENT, type Comparison, type Rule } from "./compare.ts";
import { uniform } from "./random.ts";

/** A tensor to differentiate by: its shape and values. */
export interface GradientInput {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

type Values<A> = Readonly<Record<string, A>>;

/** What is under test: it computes y, and the gradients of Σ y·seed by every input. `seed` gives as many numbers as y has. */
export type Differentiable = (inputs: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>, seed: (size: number) => Float32Array) => Promise<{
  readonly output: ArrayLike<number>;
  readonly gradients: Values<ArrayLike<number>>;
}>;

export interface GradientCase {
  readonly inputs: Readonly<Record<string, GradientInput>>;
  /** The law, in float64. */
  readonly reference: (inputs: Values<Float64Array>) => ArrayLike<number>;
  /** Its gradients of Σ y·seed, where they are known in closed form; otherwise central differences of `reference` stand in. */
  readonly analytic?: (inputs: Values<Float64Array>, seed: Float64Array) => Values<ArrayLike<number>>;
  readonly run: Differentiable;
}

export interface GradientOptions {
  /** Of the output. Default: `FORWARD`. */
  readonly forward?: Rule;
  /** Of the gradients. Default: `GRADIENT`. */
  readonly gradient?: Rule;
  /** Half the distance of a central difference, relative to max(1, |x|). Default: the cube root of the double's epsilon. */
  readonly step?: number;
  /** At most so many entries of each input are differenced, evenly spread. Default: all. */
  readonly entries?: number;
}

const CUBE_ROOT_EPSILON = Math.cbrt(Number.EPSILON);

/** ∂/∂x of Σ reference·seed by central differences, (f(x+h) − f(x−h)) / 2h, at the entries asked for. */
export function centralDifference(f: (x: Float64Array) => number, x: Float64Array, entries: readonly number[], step: number = CUBE_ROOT_EPSILON): Float64Array {
  const at = x.slice();
  return Float64Array.from(entries, (i) => {
    const middle = x[i]!;
    const h = step * Math.max(1, Math.abs(middle));
    at[i] = middle + h;
    // What was added is what the sum holds, not h itself.
    const up = at[i];
    const above = f(at);
    at[i] = middle - h;
    const below = f(at);
    const width = up - at[i];
    at[i] = middle;
    return (above - below) / width;
  });
}

const spread = (size: number, most: number): number[] => {
  const count = Math.min(size, most);
  return Array.from({ length: count }, (_, i) => Math.floor((i * size) / count));
};

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/**
 * Checks an f32 function and its gradients against a float64 law. Both see the same inputs, rounded to f32, and the same
 * random seed on the output, so that no entry of the Jacobian can hide behind a symmetry.
 *
 * @returns the comparisons, `output` first, then one per input.
 * @throws PolyheadError `COMPARE_MISMATCH` naming the output or the input whose gradient is off; `COMPARE_LENGTH` when a
 *   size is wrong or a gradient is missing.
 */
export async function checkGradients(problem: GradientCase, options: GradientOptions = {}): Promise<Readonly<Record<string, Comparison>>> {
  const { forward = FORWARD, gradient = GRADIENT, step = CUBE_ROOT_EPSILON, entries = Infinity } = options;
  const single = mapValues(problem.inputs, ({ shape, data }) => ({ shape, data: Float32Array.from(data) }));
  const double = mapValues(single, ({ data }) => Float64Array.from(data));
  const seed = (size: number): Float32Array => uniform(size, 0x5eed);

  const want = problem.reference(double);
  const seed64 = Float64Array.from(seed(want.length));
  const { output, gradients } = await problem.run(single, seed);
  const found: Record<string, Comparison> = { output: assertClose(output, want, { rule: forward, label: "the output" }) };

  const known = problem.analytic?.(double, seed64);
  for (const [name, x] of Object.entries(double)) {
    const chosen = spread(x.length, known === undefined ? entries : Infinity);
    const law = known?.[name] ?? centralDifference((moved) => dot(problem.reference({ ...double, [name]: moved }), seed64), x, chosen, step);
    const got = gradients[name] ?? [];
    // A wrong size must not pass by looking at the chosen entries alone.
    const picked = got.length === x.length ? chosen.map((i) => got[i]!) : got;
    found[name] = assertClose(picked, law, {
      rule: gradient, label: `the gradient of '${name}'`, ...(chosen.length === x.length ? { shape: single[name]!.shape } : {}),
    });
  }
  return found;
}

const mapValues = <A, B>(record: Readonly<Record<string, A>>, f: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
