/** The names of the functions that emitted code may call. */
export type HelperName = "expr_erf";

/**
 * Functions that WGSL lacks, at module scope, named with an `expr_` prefix.
 *
 * `expr_erf` is accurate to 1e-7 absolutely, and relatively near zero. Its coefficients are our own minimax fits (Lawson's
 * reweighted least squares on 400 Chebyshev nodes, against erf in 50 digits): below 1, erf(x)/x as a polynomial in x²
 * (error of the fit 6e-10); from 1 to 4, exp(x²)·erfc(x) as a polynomial in 1/(1 + x/2) (4e-11), beyond which
 * erf rounds to 1 in f32. What remains is rounding.
 */
export const HELPERS: Readonly<Record<HelperName, string>> = {
  expr_erf: `fn expr_erf(x: f32) -> f32 {
  let s = x * x;
  let near = x * (1.12837915841f + s * (-0.37612605987f + s * (0.112834301314f + s * (-0.0268485917171f
    + s * (0.00517975017900f + s * (-0.000794236114436f + s * 0.0000764713215156f))))));
  let a = min(abs(x), 4.0f);
  let t = 1.0f / (1.0f + 0.5f * a);
  let scaled = 0.0018224831025f + t * (0.259700602657f + t * (0.39680210978f + t * (-0.0644606868307f
    + t * (0.636680073878f + t * -0.230801687275f))));
  let far = 1.0f - exp(-a * a) * scaled;
  return select(select(far, -far, x < 0.0f), near, a < 1.0f);
}`,
};
