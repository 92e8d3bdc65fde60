/** The names of the functions that emitted code may call. */
export type HelperName = "expr_erf" | "expr_sin" | "expr_tanh";

/**
 * Functions that WGSL lacks, or promises too little of, at module scope under an `expr_` prefix.
 *
 * The coefficients are our own minimax fits: Lawson's reweighted least squares on 400 Chebyshev nodes against 50-digit
 * values. The error of each fit is given; what remains is rounding, and the driver's `exp`.
 *
 * - `expr_erf`: below 1, erf(x)/x − 1 in x² (6e-10); from 1 to 4, exp(x²)·erfc(x) in 1/(1 + x/2) (4e-11), beyond which
 *   erf rounds to 1 in f32.
 * - `expr_sin(x, n)`: sin(x + n·π/2). WGSL promises 2⁻¹¹ for its own, and one software driver is off by 2e-4. π/2 is taken
 *   off in four parts, the first three of 8 bits, so that their products with up to 16 bits of turns are exact; the rest
 *   is odd or even in r (2e-9, 1e-10). Beyond ±100000, where an f32 is itself coarser than 1/128, the driver's sine.
 * - `expr_tanh`: below 0.625, odd in x (4e-9 relative), since drivers subtract nearly equal numbers there and are off by
 *   a percent; beyond, through an exponential that cannot overflow.
 */
export const HELPERS: Readonly<Record<HelperName, string>> = {
  expr_erf: `fn expr_erf(x: f32) -> f32 {
  let s = x * x;
  let near = x + x * (0.12837915841f + s * (-0.37612605987f + s * (0.112834301314f + s * (-0.0268485917171f
    + s * (0.00517975017900f + s * (-0.000794236114436f + s * 0.0000764713215156f))))));
  let a = min(abs(x), 4.0f);
  let t = 1.0f / (1.0f + 0.5f * a);
  let scaled = 0.0018224831025f + t * (0.259700602657f + t * (0.39680210978f + t * (-0.0644606868307f
    + t * (0.636680073878f + t * -0.230801687275f))));
  let far = 1.0f - exp(-a * a) * scaled;
  return select(select(far, -far, x < 0.0f), near, a < 1.0f);
}`,
  expr_sin: `fn expr_sin(x: f32, quarters: i32) -> f32 {
  if (abs(x) > 100000.0f) {
    return select(sin(x), cos(x), quarters == 1i);
  }
  let k = round(x * 0.636619772368f);
  let r = (((x - k * 1.5703125f) - k * 0.0004825592041015625f) - k * 0.00000126659870147705f) - k * 9.92093629471e-10f;
  let s = r * r;
  let odd = r + r * s * (-0.166666505472f + s * (0.00833197178679f + s * -0.000194947625396f));
  let even = 1.0f + s * (-0.5f + s * (0.0416666467151f + s * (-0.0013887359782f + s * 0.0000244375320667f)));
  let turn = i32(k) + quarters;
  let y = select(odd, even, (turn & 1i) == 1i);
  return select(y, -y, (turn & 2i) == 2i);
}`,
  expr_tanh: `fn expr_tanh(x: f32) -> f32 {
  let s = x * x;
  let near = x + x * s * (-0.333332839261f + s * (0.133314913052f + s * (-0.0537434993647f + s * (0.0206505909446f
    + s * -0.00571704868653f))));
  let a = min(abs(x), 15.0f);
  let far = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return select(select(far, -far, x < 0.0f), near, a < 0.625f);
}`,
};
