import { normEpsilon, type DecodeProblem } from "./decode-problem.ts";

/** What a step should give: the likeliest id, and how far its logit stands above the next. */
export interface GreedyStep {
  readonly id: number;
  readonly margin: number;
  readonly logits: Float64Array;
}

/** Walks a decoder one token at a time in float64, with keys and values of its own: GPT-2's formulas, nothing shared with what is measured. */
export function decoderReference({ shape, weights }: DecodeProblem): (id: number) => GreedyStep {
  const { layers, width, heads, vocab } = shape;
  const headDim = width / heads;
  const of = (name: string): Float32Array => weights[name]?.data ?? new Float32Array(0);
  /** y = x·W + b */
  const linear = (x: Float64Array, name: string): Float64Array => {
    const [weight, bias] = [of(`${name}.weight`), of(`${name}.bias`)];
    const y = Float64Array.from(bias);
    for (let i = 0; i < x.length; i++) {
      const xi = x[i]!;
      for (let j = 0, at = i * y.length; j < y.length; j++, at++) y[j]! += xi * weight[at]!;
    }
    return y;
  };
  const norm = (x: Float64Array, name: string): Float64Array => {
    const [gain, bias] = [of(`${name}.weight`), of(`${name}.bias`)];
    const mean = x.reduce((sum, v) => sum + v, 0) / width;
    const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
    return x.map((v, i) => ((v - mean) / Math.sqrt(variance + normEpsilon)) * gain[i]! + bias[i]!);
  };
  const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const past: { readonly k: Float64Array; readonly v: Float64Array }[][] = Array.from({ length: layers }, () => []);

  const attention = (qkv: Float64Array, layer: number): Float64Array => {
    const rows = past[layer]!;
    rows.push({ k: qkv.slice(width, 2 * width), v: qkv.slice(2 * width) });
    const o = new Float64Array(width);
    for (let first = 0; first < width; first += headDim) {
      const scores = rows.map(({ k }) => {
        let sum = 0;
        for (let d = first; d < first + headDim; d++) sum += qkv[d]! * k[d]!;
        return sum / Math.sqrt(headDim);
      });
      const most = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - most));
      const total = shares.reduce((sum, share) => sum + share, 0);
      rows.forEach(({ v }, row) => {
        for (let d = first; d < first + headDim; d++) o[d]! += (shares[row]! / total) * v[d]!;
      });
    }
    return o;
  };

  return (id) => {
    const position = past[0]?.length ?? 0;
    const [wte, wpe] = [of("wte"), of("wpe")];
    let x = Float64Array.from({ length: width }, (_, i) => wte[id * width + i]! + wpe[position * width + i]!);
    const plus = (y: Float64Array): void => { x = x.map((v, i) => v + y[i]!); };
    for (let layer = 0; layer < layers; layer++) {
      const at = String(layer);
      plus(linear(attention(linear(norm(x, `${at}.norm1`), `${at}.qkv`), layer), `${at}.proj`));
      plus(linear(linear(norm(x, `${at}.norm2`), `${at}.up`).map(gelu), `${at}.down`));
    }
    const last = norm(x, "norm");
    const logits = new Float64Array(vocab);
    for (let row = 0; row < vocab; row++) {
      let sum = 0;
      for (let i = 0, from = row * width; i < width; i++, from++) sum += last[i]! * wte[from]!;
      logits[row] = sum;
    }
    return { logits, ...likeliest(logits) };
  };
}

function likeliest(logits: Float64Array): Pick<GreedyStep, "id" | "margin"> {
  let [id, most, next] = [-1, -Infinity, -Infinity];
  logits.forEach((logit, i) => {
    if (logit > most) [id, most, next] = [i, logit, most];
    else if (logit > next) next = logit;
  });
  return { id, margin: most - next };
}
