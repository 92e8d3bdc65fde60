const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/**
 * The error function in float64, the oracle's reading; accurate to a few units in the last place.
 *
 * Abramowitz and Stegun, Handbook of Mathematical Functions: the all-positive series 7.1.6 near zero, and the continued
 * fraction 7.1.14 of the complement beyond 2.5, where the series would need many terms.
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  const size = Math.abs(x);
  if (size < 2.5) return series(x);
  if (size > 6) return Math.sign(x);
  return Math.sign(x) * (1 - complement(size));
}

/** 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n+1)), (7.1.6). */
function series(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return TWO_OVER_SQRT_PI * Math.exp(-x * x) * sum;
}

/** √π exp(x²) erfc(x) = 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))), (7.1.14), from the inside out. */
function complement(x: number): number {
  let tail = x;
  for (let n = 120; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}
