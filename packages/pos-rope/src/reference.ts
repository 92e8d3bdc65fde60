/**
 * Which two elements of a head form pair i: `half`: i and i + rotaryDim/2; `interleaved`: 2i and 2i + 1.
 * The two are a permutation of each other, so weights can be converted, but not mixed.
 */
export type RotaryLayout = "half" | "interleaved";

export interface Rotation {
  readonly base: number;
  readonly layout: RotaryLayout;
  /** Leading elements of a head that are rotated; the rest pass unchanged. */
  readonly rotaryDim: number;
}

/** θᵢ = base^(−2i/d) for the d/2 pairs (RoFormer, eq. 15, with i from 0). In radians a position. */
export function frequencies(base: number, rotaryDim: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, i) => base ** ((-2 * i) / rotaryDim));
}

export interface RotaryTables {
  /** cos mθᵢ, `[positions, rotaryDim/2]`, row-major. */
  readonly cos: Float64Array;
  /** sin mθᵢ, `[positions, rotaryDim/2]`, row-major. */
  readonly sin: Float64Array;
}

/**
 * The angles mθᵢ of all positions. Made in float64 on the CPU, since WGSL promises sin and cos only to 2⁻¹¹ and only
 * within ±π, where a position of some thousands times θ₀ = 1 is far outside.
 */
export function rotaryTables(base: number, rotaryDim: number, positions: number): RotaryTables {
  const theta = frequencies(base, rotaryDim);
  const angles = Float64Array.from({ length: positions * theta.length }, (_, at) => Math.floor(at / theta.length) * theta[at % theta.length]!);
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
}

/** The elements of pair i. */
function pairAt(layout: RotaryLayout, rotaryDim: number, i: number): readonly [number, number] {
  return layout === "half" ? [i, i + rotaryDim / 2] : [2 * i, 2 * i + 1];
}

/** R(mθ) x (RoFormer, eq. 34): each pair turned by its own angle. Never changes `x`. */
export function rotate(x: Float64Array, m: number, { base, layout, rotaryDim }: Rotation): Float64Array {
  const y = Float64Array.from(x);
  frequencies(base, rotaryDim).forEach((theta, i) => {
    const [a, b] = pairAt(layout, rotaryDim, i);
    const [cos, sin] = [Math.cos(m * theta), Math.sin(m * theta)];
    y[a] = x[a]! * cos - x[b]! * sin;
    y[b] = x[a]! * sin + x[b]! * cos;
  });
  return y;
}

/** R(mθ)ᵀ g = R(−mθ) g: the gradient before the rotation, from that after it. */
export function unrotate(gradient: Float64Array, m: number, rotation: Rotation): Float64Array {
  return rotate(gradient, -m, rotation);
}
