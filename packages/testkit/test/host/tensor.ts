import type { KernelTensor } from "../../src/index.ts";

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** How a tensor came to be: by what its gradient goes back. */
export interface Origin {
  readonly source: HostTensor;
  readonly back: (gradient: Float32Array) => Float32Array;
}

/** Tensors of the host: numbers with a tape, always row-major. Enough to run the laws of kernels without a GPU. */
export class HostEngine {
  readonly live: Set<HostTensor> = new Set<HostTensor>();
  /** What memory holds that nobody wrote. */
  readonly unwritten: number;
  gradEnabled = true;
  readonly gpu: { readonly caps: { f16: true; subgroups: false; storageBuffers: 8; workgroupBytes: 16384; maxBindingBytes: number }; readonly stats: { readonly liveBytes: number } };

  constructor({ poison }: { readonly poison: boolean }) {
    this.unwritten = poison ? NaN : 0;
    const live = this.live;
    this.gpu = {
      caps: { f16: true, subgroups: false, storageBuffers: 8, workgroupBytes: 16384, maxBindingBytes: 2 ** 27 },
      stats: { get liveBytes() { return [...live].reduce((sum, { size }) => sum + 4 * size, 0); } },
    };
  }

  tensor(data: ArrayLike<number>, shape: readonly number[], { dtype = "f32", requiresGrad = false }: { readonly dtype?: string; readonly requiresGrad?: boolean } = {}): HostTensor {
    const tensor = new HostTensor(this, Float32Array.from(data), shape, dtype, []);
    tensor.requiresGrad = requiresGrad;
    return tensor;
  }

  scope<R>(work: () => R): R {
    const before = new Set(this.live);
    const result = work();
    const kept = new Set<unknown>(result instanceof HostTensor ? [result] : Object.values(result as object));
    for (const tensor of [...this.live]) if (!before.has(tensor) && !kept.has(tensor) && !tensor.isGradient) tensor.dispose();
    return result;
  }

  noGrad<R>(work: () => R): R {
    this.gradEnabled = false;
    try {
      return work();
    } finally {
      this.gradEnabled = true;
    }
  }
}

export class HostTensor implements KernelTensor<HostTensor> {
  readonly engine: HostEngine;
  readonly data: Float32Array;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly size: number;
  readonly origins: readonly Origin[];
  /** The tensor that this one is a view of, and where in it the view starts. */
  base: { readonly tensor: HostTensor; readonly start: number } | undefined;
  requiresGrad = false;
  isGradient = false;
  grad: HostTensor | undefined;

  constructor(engine: HostEngine, data: Float32Array, shape: readonly number[], dtype: string, origins: readonly Origin[]) {
    if (data.length !== product(shape)) throw new Error(`${data.length} numbers for [${shape.join(", ")}]`);
    this.engine = engine;
    this.data = data;
    this.shape = shape;
    this.dtype = dtype;
    this.size = data.length;
    this.origins = engine.gradEnabled ? origins : [];
    engine.live.add(this);
  }

  read(): Promise<Float32Array> {
    return Promise.resolve(this.data.slice());
  }

  dispose(): void {
    this.engine.live.delete(this);
  }

  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = undefined;
  }

  backward(seed?: HostTensor): void {
    const gradients = new Map<HostTensor, Float32Array>([[this, seed?.data ?? new Float32Array(this.size).fill(1)]]);
    for (const tensor of ordered(this)) {
      const gradient = gradients.get(tensor);
      if (gradient === undefined) continue;
      gradients.delete(tensor);
      if (tensor.requiresGrad) tensor.gather(gradient);
      for (const { source, back } of tensor.origins) {
        const more = back(gradient);
        const known = gradients.get(source);
        gradients.set(source, known === undefined ? more : known.map((x, i) => x + more[i]!));
      }
    }
  }

  private gather(gradient: Float32Array): void {
    const sum = this.grad === undefined ? gradient : gradient.map((x, i) => x + this.grad!.data[i]!);
    this.zeroGrad();
    this.grad = this.engine.tensor(sum, this.shape);
    this.grad.isGradient = true;
  }

  reshape(shape: readonly number[]): HostTensor {
    return new HostTensor(this.engine, this.data.slice(), shape, this.dtype, [{ source: this, back: (g) => g }]);
  }

  permute(order: readonly number[]): HostTensor {
    const strides = this.shape.map((_, axis) => product(this.shape.slice(axis + 1)));
    return this.view(order.map((axis) => this.shape[axis]!), order.map((axis) => strides[axis]!), 0);
  }

  narrow(axis: number, start: number, length: number): HostTensor {
    const strides = this.shape.map((_, i) => product(this.shape.slice(i + 1)));
    return this.view(this.shape.map((n, i) => (i === axis ? length : n)), strides, start * strides[axis]!);
  }

  private view(shape: readonly number[], strides: readonly number[], start: number): HostTensor {
    const sizes = shape.map((_, axis) => product(shape.slice(axis + 1)));
    const from = Int32Array.from({ length: product(shape) }, (_, i) => shape.reduce((at, n, axis) => at + (Math.floor(i / sizes[axis]!) % n) * strides[axis]!, start));
    const back = (g: Float32Array): Float32Array => {
      const whole = new Float32Array(this.size);
      from.forEach((at, i) => { whole[at] = whole[at]! + g[i]!; });
      return whole;
    };
    const view = new HostTensor(this.engine, Float32Array.from(from, (at) => this.data[at]!), shape, this.dtype, [{ source: this, back }]);
    view.base = this.base ?? { tensor: this, start };
    return view;
  }
}

/** Every tensor before those it was made of. */
function ordered(last: HostTensor): HostTensor[] {
  const seen = new Set<HostTensor>();
  const order: HostTensor[] = [];
  const visit = (tensor: HostTensor): void => {
    if (seen.has(tensor)) return;
    seen.add(tensor);
    for (const { source } of tensor.origins) visit(source);
    order.push(tensor);
  };
  visit(last);
  return order.reverse();
}

const made = (like: HostTensor, data: Float32Array, shape: readonly number[], dtype: string, origins: readonly Origin[]): HostTensor => new HostTensor(like.engine, data, shape, dtype, origins);

export const hostOps = {
  add: (a: HostTensor, b: HostTensor): HostTensor => made(a, a.data.map((x, i) => x + b.data[i]!), a.shape, "f32", [a, b].map((source) => ({ source, back: (g: Float32Array) => g }))),
  mul: (a: HostTensor, b: HostTensor): HostTensor => made(a, a.data.map((x, i) => x * b.data[i]!), a.shape, "f32", [
    { source: a, back: (g) => g.map((x, i) => x * b.data[i]!) },
    { source: b, back: (g) => g.map((x, i) => x * a.data[i]!) },
  ]),
  sum: (x: HostTensor): HostTensor => made(x, Float32Array.of(x.data.reduce((a, b) => a + b, 0)), [], "f32", [{ source: x, back: (g) => new Float32Array(x.size).fill(g[0]!) }]),
  // The laws only give numbers that a half holds.
  cast: (x: HostTensor, dtype: string): HostTensor => made(x, x.data.slice(), x.shape, dtype, [{ source: x, back: (g) => g }]),
};
