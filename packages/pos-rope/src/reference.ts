/**
 * Which two elements of a head form pair i: `half`: i and i + rotaryDim/2; `interleaved`: 2i and 2i + 1.
 * The two are a permutation of each other, so weights can be converted, but not mixed.
 */
export type RotaryLayout = "half" | "interleaved";

/** θᵢ = base^(−2i/d) for the d/2 pairs (RoFormer, eq. 15, with i from 0). In radians a position. */
export function frequencies(base: number, rotaryDim: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, i) => base ** ((-2 * i) / rotaryDim));
}

/** The frequencies that positions are turned by. */
export interface RotaryFrequencies {
  /** Multiplies cosines and sines, so scores by its square; 1 unless a scaling says otherwise. */
  readonly attentionFactor: number;
  /** θᵢ at a position, in radians a position, one a pair. They are the same at all positions, but for scalings that follow the length. */
  readonly at: (position: number) => Float64Array;
}

/** What turns a head. */
export interface Rotation {
  readonly base: number;
  readonly layout: RotaryLayout;
  /** Leading elements of a head that are rotated; the rest pass unchanged. */
  readonly rotaryDim: number;
  /** Default: `frequencies(base, rotaryDim)` everywhere. */
  readonly theta?: RotaryFrequencies;
}

export interface RotaryTables {
  /** a cos mθᵢ, `[positions, rotaryDim/2]`, row-major, with a the attention factor. */
  readonly cos: Float64Array;
  /** a sin mθᵢ, `[positions, rotaryDim/2]`, row-major. */
  readonly sin: Float64Array;
}

/**
 * The angles mθᵢ of all positions. Made in float64 on the CPU, since WGSL promises sin and cos only to 2⁻¹¹ and only
 * within ±π, where a position of some thousands times θ₀ = 1 is far outside.
 */
export function rotaryTables({ attentionFactor, at }: RotaryFrequencies, positions: number): RotaryTables {
  const pairs = at(0).length;
  const [cos, sin] = [new Float64Array(positions * pairs), new Float64Array(positions * pairs)];
  for (let m = 0; m < positions; m++) {
    for (const [i, theta] of at(m).entries()) {
      cos[m * pairs + i] = attentionFactor * Math.cos(m * theta);
      sin[m * pairs + i] = attentionFactor * Math.sin(m * theta);
    }
  }
  return { cos, sin };
}

/** The elements of pair i. */
function pairAt(layout: RotaryLayout, rotaryDim: number, i: number): readonly [number, number] {
  return layout === "half" ? [i, i + rotaryDim / 2] : [2 * i, 2 * i + 1];
}

/** Each pair turned by its own angle at position m, forwards (+1) or back (−1), and multiplied by the attention factor. */
function turn(x: Float64Array, m: number, sign: 1 | -1, { base, layout, rotaryDim, theta: { attentionFactor, at } = { attentionFactor: 1, at: () => frequencies(base, rotaryDim) } }: Rotation): Float64Array {
  const y = Float64Array.from(x);
  at(m).forEach((theta, i) => {
    const [a, b] = pairAt(layout, rotaryDim, i);
    const [cos, sin] = [attentionFactor * Math.cos(m * theta), sign * attentionFactor * Math.sin(m * theta)];
    y[a] = x[a]! * cos - x[b]! * sin;
    y[b] = x[a]! * sin + x[b]! * cos;
  });
  return y;
}

/** R(mθ) x (RoFormer, eq. 34): each pair turned by its own angle. Never changes `x`. */
export function rotate(x: Float64Array, m: number, rotation: Rotation): Float64Array {
  return turn(x, m, 1, rotation);
}

/** R(mθ)ᵀ g = R(−mθ) g: the gradient before the rotation, from that after it. */
export function unrotate(gradient: Float64Array, m: number, rotation: Rotation): Float64Array {
  return turn(gradient, m, -1, rotation);
}
