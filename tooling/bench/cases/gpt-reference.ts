import { adam, normEpsilon, type GptProblem } from "./gpt-problem.ts";

type Vector = Float64Array<ArrayBuffer>;
type Vectors = Record<string, Vector>;

/** A part of the network: its output, and the way back, which takes d loss / d output and gives d loss / d input. */
interface Passed {
  readonly out: Vector;
  back(grad: Vector): Vector;
}

/**
 * Losses of the first `steps` training steps in float64, one loop a formula. It shares no code with any contender,
 * which is its worth. Slow: seconds a step at the bench's shape.
 */
export function trainInFloat64(problem: GptProblem, steps: number): number[] {
  const weights = vectorsLike(problem, (name) => Float64Array.from(problem.weights[name]!.data));
  const first = vectorsLike(problem, (name) => new Float64Array(weights[name]!.length));
  const second = vectorsLike(problem, (name) => new Float64Array(weights[name]!.length));
  return Array.from({ length: steps }, (_, step) => {
    const { loss, gradients } = lossAndGradients(problem, weights, step);
    for (const [name, weight] of Object.entries(weights)) {
      const [g, m, v] = [gradients[name]!, first[name]!, second[name]!];
      for (let i = 0; i < weight.length; i++) {
        m[i] = adam.beta1 * m[i]! + (1 - adam.beta1) * g[i]!;
        v[i] = adam.beta2 * v[i]! + (1 - adam.beta2) * g[i]! ** 2;
        const mHat = m[i]! / (1 - adam.beta1 ** (step + 1));
        const vHat = v[i]! / (1 - adam.beta2 ** (step + 1));
        weight[i]! -= (adam.rate * mHat) / (Math.sqrt(vHat) + adam.epsilon);
      }
    }
    return loss;
  });
}

/** Mean cross-entropy of one batch, and its gradient by every weight. */
export function lossAndGradients(problem: GptProblem, weights: Vectors, step: number): { loss: number; gradients: Vectors } {
  const { layers, width, heads, context, batch, vocab } = problem.shape;
  const { ids, targets } = problem.batch(step);
  const rows = batch * context;
  const gradients = vectorsLike(problem, (name) => new Float64Array(weights[name]!.length));
  const trail: (() => void)[] = [];

  let x = new Float64Array(rows * width);
  for (let i = 0; i < x.length; i++) x[i] = weights["wte"]![tokenCell(i)]! + weights["wpe"]![i % (context * width)]!;
  let grad: Vector = new Float64Array(0);
  const residual = (...parts: ((input: Vector) => Passed)[]): void => {
    let inner = x;
    const passed = parts.map((part) => {
      const done = part(inner);
      inner = done.out;
      return done;
    });
    x = x.map((value, i) => value + inner[i]!);
    trail.push(() => {
      const side = passed.reduceRight((g, part) => part.back(g), grad);
      grad = grad.map((value, i) => value + side[i]!);
    });
  };
  const norm = (name: string) => (input: Vector): Passed => layerNorm(input, weights, gradients, name, width);
  const map = (name: string, from: number, to: number) => (input: Vector): Passed => linear(input, weights, gradients, name, from, to);
  for (let layer = 0; layer < layers; layer++) {
    const at = String(layer);
    residual(norm(`${at}.norm1`), map(`${at}.qkv`, width, 3 * width), (qkv) => attention(qkv, batch, context, heads, width / heads), map(`${at}.proj`, width, width));
    residual(norm(`${at}.norm2`), map(`${at}.up`, width, 4 * width), gelu, map(`${at}.down`, 4 * width, width));
  }
  const last = norm("norm")(x);
  const logits = linear(last.out, { "head.weight": weights["head"]! }, { "head.weight": gradients["head"]! }, "head", width, vocab);
  const { loss, grad: dLogits } = crossEntropy(logits.out, targets, vocab);
  grad = last.back(logits.back(dLogits));
  for (const back of trail.reverse()) back();
  for (let i = 0; i < grad.length; i++) {
    gradients["wte"]![tokenCell(i)]! += grad[i]!;
    gradients["wpe"]![i % (context * width)]! += grad[i]!;
  }
  return { loss, gradients };

  function tokenCell(i: number): number {
    return ids[Math.floor(i / width)]! * width + (i % width);
  }
}

/** y = x·W + b, W [from, to]; the bias is left out where there is none. */
function linear(x: Vector, weights: Vectors, gradients: Vectors, name: string, from: number, to: number): Passed {
  const w = weights[`${name}.weight`]!;
  const bias = weights[`${name}.bias`];
  const rows = x.length / from;
  const out = new Float64Array(rows * to);
  for (let r = 0; r < rows; r++) {
    const y = out.subarray(r * to, (r + 1) * to);
    if (bias) y.set(bias);
    for (let k = 0; k < from; k++) {
      const scale = x[r * from + k]!;
      for (let j = 0, at = k * to; j < to; j++, at++) y[j]! += scale * w[at]!;
    }
  }
  return {
    out,
    back(grad) {
      const dx = new Float64Array(x.length);
      const dw = gradients[`${name}.weight`]!;
      const db = gradients[`${name}.bias`];
      for (let r = 0; r < rows; r++) {
        const dy = grad.subarray(r * to, (r + 1) * to);
        if (db) for (let j = 0; j < to; j++) db[j]! += dy[j]!;
        for (let k = 0; k < from; k++) {
          const scale = x[r * from + k]!;
          let sum = 0;
          for (let j = 0, at = k * to; j < to; j++, at++) {
            sum += dy[j]! * w[at]!;
            dw[at]! += scale * dy[j]!;
          }
          dx[r * from + k] = sum;
        }
      }
      return dx;
    },
  };
}

/** y = (x − mean) / √(var + ε) · gain + bias, over rows of `width`. */
function layerNorm(x: Vector, weights: Vectors, gradients: Vectors, name: string, width: number): Passed {
  const [gain, bias] = [weights[`${name}.weight`]!, weights[`${name}.bias`]!];
  const [dGain, dBias] = [gradients[`${name}.weight`]!, gradients[`${name}.bias`]!];
  const unit = new Float64Array(x.length);
  const inverse = new Float64Array(x.length / width);
  inverse.forEach((_, r) => {
    const row = x.subarray(r * width, (r + 1) * width);
    const mean = row.reduce((a, b) => a + b) / width;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
    inverse[r] = 1 / Math.sqrt(variance + normEpsilon);
    row.forEach((value, i) => (unit[r * width + i] = (value - mean) * inverse[r]!));
  });
  return {
    out: unit.map((value, i) => value * gain[i % width]! + bias[i % width]!),
    back: (grad) =>
      inverse.reduce((dx, scale, r) => {
        let [sum, dot] = [0, 0];
        for (let i = 0, at = r * width; i < width; i++, at++) {
          dGain[i]! += grad[at]! * unit[at]!;
          dBias[i]! += grad[at]!;
          sum += grad[at]! * gain[i]!;
          dot += grad[at]! * gain[i]! * unit[at]!;
        }
        for (let i = 0, at = r * width; i < width; i++, at++) dx[at] = scale * (grad[at]! * gain[i]! - (sum + unit[at]! * dot) / width);
        return dx;
      }, new Float64Array(x.length)),
  };
}

/** GELU by its tanh formula. */
function gelu(x: Vector): Passed {
  const c = Math.sqrt(2 / Math.PI);
  const tanh = x.map((u) => Math.tanh(c * (u + 0.044715 * u ** 3)));
  return {
    out: x.map((u, i) => 0.5 * u * (1 + tanh[i]!)),
    back: (grad) => grad.map((g, i) => {
      const [u, t] = [x[i]!, tanh[i]!];
      return g * (0.5 * (1 + t) + 0.5 * u * (1 - t * t) * c * (1 + 3 * 0.044715 * u * u));
    }),
  };
}

/** Causal softmax(q·kᵀ/√d)·v from rows that hold q, k and v side by side, each [heads, d]. */
function attention(qkv: Vector, batch: number, context: number, heads: number, d: number): Passed {
  const width = heads * d;
  const scale = 1 / Math.sqrt(d);
  const out = new Float64Array(qkv.length / 3);
  const probabilities = new Float64Array(batch * heads * context * context);
  const cell = (b: number, t: number, part: number, h: number): number => (b * context + t) * 3 * width + part * width + h * d;
  const dot = (a: Vector, at: number, b: Vector, bt: number): number => {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += a[at + i]! * b[bt + i]!;
    return sum;
  };
  const axpy = (factor: number, a: Vector, at: number, into: Vector, it: number): void => {
    for (let i = 0; i < d; i++) into[it + i]! += factor * a[at + i]!;
  };
  const eachRow = (visit: (b: number, h: number, t: number, p: Vector, o: number) => void): void => {
    for (let b = 0; b < batch; b++) for (let h = 0; h < heads; h++) for (let t = 0; t < context; t++) {
      const at = ((b * heads + h) * context + t) * context;
      visit(b, h, t, probabilities.subarray(at, at + t + 1), (b * context + t) * width + h * d);
    }
  };
  eachRow((b, h, t, p, o) => {
    for (let s = 0; s <= t; s++) p[s] = scale * dot(qkv, cell(b, t, 0, h), qkv, cell(b, s, 1, h));
    const top = p.reduce((a, c) => Math.max(a, c));
    p.forEach((score, s) => (p[s] = Math.exp(score - top)));
    const sum = p.reduce((a, c) => a + c);
    p.forEach((e, s) => {
      p[s] = e / sum;
      axpy(e / sum, qkv, cell(b, s, 2, h), out, o);
    });
  });
  return {
    out,
    back(grad) {
      const dQkv = new Float64Array(qkv.length);
      eachRow((b, h, t, p, o) => {
        const dp = p.map((_, s) => dot(grad, o, qkv, cell(b, s, 2, h)));
        const delta = p.reduce((sum, value, s) => sum + value * dp[s]!, 0);
        p.forEach((value, s) => {
          const ds = scale * value * (dp[s]! - delta);
          axpy(ds, qkv, cell(b, s, 1, h), dQkv, cell(b, t, 0, h));
          axpy(ds, qkv, cell(b, t, 0, h), dQkv, cell(b, s, 1, h));
          axpy(value, grad, o, dQkv, cell(b, s, 2, h));
        });
      });
      return dQkv;
    },
  };
}

/** Mean of −log softmax(logits)[target], and its gradient. */
function crossEntropy(logits: Vector, targets: Int32Array, vocab: number): { loss: number; grad: Vector } {
  const grad = new Float64Array(logits.length);
  let loss = 0;
  targets.forEach((target, r) => {
    const row = logits.subarray(r * vocab, (r + 1) * vocab);
    const top = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((a, b) => a + Math.exp(b - top), 0);
    loss += (Math.log(sum) + top - row[target]!) / targets.length;
    row.forEach((value, j) => (grad[r * vocab + j] = (Math.exp(value - top) / sum - (j === target ? 1 : 0)) / targets.length));
  });
  return { loss, grad };
}

function vectorsLike(problem: GptProblem, make: (name: string) => Vector): Vectors {
  return Object.fromEntries(Object.keys(problem.weights).map((name) => [name, make(name)]));
}
