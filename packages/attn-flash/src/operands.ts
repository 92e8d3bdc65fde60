import type { BufferSlice } from "@polyhead/gpu";
import { cast, link, windowOf, type Tensor } from "@polyhead/tensor";

/** A `[B, H, T, D]` tensor as a fused kernel reads it: where it starts and its strides, in groups of four elements. */
export interface Operand {
  readonly slice: BufferSlice;
  readonly at: number;
  readonly b: number;
  readonly h: number;
  readonly t: number;
}

export const inFours = (n: number): number => Math.ceil(n / 4) * 4;

/** The same numbers with heads of a multiple of four elements: zero columns add nothing to a score, nor to an output. */
export function padHead(x: Tensor): Tensor {
  const size = x.shape[3]!;
  const padded = inFours(size);
  if (padded === size) return x;
  const { engine } = x;
  const wide = x.dtype === "f16" ? cast(x, "f32") : x;
  return engine.scope(() => {
    const out = engine.zeros([...x.shape.slice(0, 3), padded]);
    engine.assign(out.view({ shape: wide.shape, strides: out.strides, offset: 0 }), wide);
    return link(out, { inputs: [wide], backward: (g) => [cutHead(g, size)] });
  });
}

/** The first `size` columns. */
export const cutHead = (x: Tensor, size: number): Tensor => (x.shape[3] === size ? x : x.narrow(3, 0, size));

/** x, or a copy of it where its rows are not runs of aligned groups of four. */
export function asRows(x: Tensor): Tensor {
  const [b = 0, h = 0, t = 0, last = 1] = x.strides;
  const aligned = (last === 1 || x.shape[3] === 1) && [x.offset, b, h, t].every((n) => n % 4 === 0);
  const fits = windowOf(x).slice.size <= x.engine.gpu.caps.maxBindingBytes;
  return aligned && (fits || x.isContiguous) ? x : x.contiguous();
}

/** For a tensor that {@link asRows} has passed. */
export function operandOf(x: Tensor): Operand {
  const { slice, at } = windowOf(x);
  const [b = 0, h = 0, t = 0] = x.strides.map((n) => n / 4);
  return { slice, at: at / 4, b, h, t };
}

/** The scalars of an operand, under the names that kernels know. */
export const strideScalars = (name: string, { at, b, h, t }: Operand): Record<string, number> => ({ [`${name}At`]: at, [`${name}B`]: b, [`${name}H`]: h, [`${name}T`]: t });
