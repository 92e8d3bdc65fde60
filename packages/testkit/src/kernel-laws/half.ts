/** The nearest number that a binary16 holds, ties to even: what a kernel reads where inputs are stored in f16. */
export function roundToHalf(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10);
  const units = x / step;
  const below = Math.floor(units);
  const rest = units - below;
  const whole = rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
  return Math.abs(whole * step) < 65520 ? whole * step : Math.sign(x) * Infinity;
}
