/** Central differences of Σ seed·f(x) in float64; `f` must not depend on the array's identity. */
export function numericGradient(f: (x: Float64Array) => ArrayLike<number>, x: ArrayLike<number>, seed: ArrayLike<number>): Float64Array {
  const at = Float64Array.from(x);
  const value = (): number => {
    const y = f(at);
    let total = 0;
    for (let i = 0; i < y.length; i++) total += y[i]! * seed[i]!;
    return total;
  };
  return at.map((centre, i) => {
    const step = 1e-5 * Math.max(1, Math.abs(centre));
    at[i] = centre + step;
    const above = value();
    at[i] = centre - step;
    const below = value();
    at[i] = centre;
    return (above - below) / (2 * step);
  });
}
