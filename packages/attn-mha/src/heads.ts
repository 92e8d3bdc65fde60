import { linkMany, type Tensor } from "@polyhead/tensor";

/**
 * Cuts `[B, T, (n₀ + n₁ + …)·D]` into heads `[B, nᵢ, T, D]`, without a copy. The gradients of all parts are written into one
 * tensor, where cutting part by part would add as many padded ones.
 */
export function splitHeads(x: Tensor, counts: readonly number[], headDim: number): Tensor[] {
  const { engine } = x;
  const [B = 0, T = 0] = x.shape;
  const all = counts.reduce((sum, n) => sum + n, 0);
  const shape = [B, T, all, headDim];
  const starts = counts.map((_, i) => counts.slice(0, i).reduce((sum, n) => sum + n, 0));
  const cut = (whole: Tensor, i: number): Tensor => whole.narrow(2, starts[i]!, counts[i]!).permute([0, 2, 1, 3]);
  const parts = engine.noGrad(() => counts.map((_, i) => cut(x.reshape(shape), i)));
  linkMany(parts, {
    name: "splitHeads",
    inputs: [x],
    backward: (grads) => {
      const whole = grads.includes(undefined) ? engine.zeros(shape) : engine.empty(shape);
      grads.forEach((grad, i) => { if (grad !== undefined) engine.assign(cut(whole, i), grad); });
      return [whole.reshape(x.shape)];
    },
  });
  return parts;
}

/** `[B, H, T, D]` to `[B, T, H·D]`. */
export function joinHeads(o: Tensor): Tensor {
  const [B = 0, H = 0, T = 0, D = 0] = o.shape;
  return o.permute([0, 2, 1, 3]).reshape([B, T, H * D]);
}
