import { capture, pairElements, pairHook, pairMod, type QkPairHook } from "@polyhead/core";

/** Positions that tables reach to. */
export const FAR = 512;

const made = new Map<string, QkPairHook>();

/** RoPE's turn of pairs, by tables of FAR positions. The same hook for the same layout and size. */
export function rotation(layout: "half" | "interleaved", rotaryDim: number): QkPairHook {
  const key = `${layout} ${rotaryDim}`;
  let hook = made.get(key);
  if (hook === undefined) made.set(key, (hook = make(layout, rotaryDim, `rope ${key}`)));
  return hook;
}

function make(layout: "half" | "interleaved", rotaryDim: number, id: string): QkPairHook {
  const pairs = rotaryDim / 2;
  const angles = Float64Array.from({ length: FAR * pairs }, (_, at) => Math.floor(at / pairs) * 100 ** (-(at % pairs) / pairs));
  const [cosines, sines] = [Float32Array.from(angles, Math.cos), Float32Array.from(angles, Math.sin)];
  const [cos, sin] = [capture(cosines, [FAR, pairs], { name: "cos" }), capture(sines, [FAR, pairs], { name: "sin" })];
  const program = pairMod(({ x0, x1, position, pair }) => {
    const [c, s] = [cos.at(position, pair), sin.at(position, pair)];
    return [x0.mul(c).sub(x1.mul(s)), x0.mul(s).add(x1.mul(c))];
  });
  const turn = (x: Float64Array, position: number, sign: number): Float64Array => {
    const y = x.slice();
    for (let pair = 0; pair < pairs; pair++) {
      const [i, j] = pairElements({ layout, rotaryDim }, pair);
      const [c, s] = [cosines[position * pairs + pair] ?? NaN, sign * (sines[position * pairs + pair] ?? NaN)];
      y[i] = x[i]! * c - x[j]! * s;
      y[j] = x[i]! * s + x[j]! * c;
    }
    return y;
  };
  // In closed form, since evaluating the program for every pair of every row takes most of a test's time.
  return { ...pairHook({ id, program, layout, rotaryDim }), reference: (x, position) => turn(x, position, 1), pullback: (_x, position, _head, gradient) => turn(gradient, position, -1) };
}
