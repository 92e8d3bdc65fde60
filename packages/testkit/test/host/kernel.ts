import { array64, defineKernelPlugin, referenceAttention, referenceGradients, type KernelInputs, type KernelPlugin, type ReferenceGradients, type ReferenceInputs } from "@polyhead/core";
import { HostTensor } from "./tensor.ts";

type Given = KernelInputs<HostTensor>;

/** What a faulty kernel does differently from the float64 reference. */
export interface Fault {
  /** Reads its inputs differently. */
  readonly reads?: (inputs: ReferenceInputs, given: Given) => ReferenceInputs;
  /** Writes its outputs differently. */
  readonly writes?: (outputs: { readonly o: Float32Array; readonly lse: Float32Array }, given: Given, inputs: ReferenceInputs) => void;
  /** Gives other gradients of a loss through `o` or through `lse`. */
  readonly differentiates?: (gradients: Gradients, given: Given, through: "o" | "lse", inputs: ReferenceInputs, seed: Float32Array) => void;
}

export interface Gradients {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly bias: Float64Array | undefined;
  readonly tables: ReadonlyMap<string, Float64Array>;
}

const count = (value: Given["qOffset"]): number => (typeof value === "number" ? value : value.value);

/** Rows of a pool `[P, H, size, D]`, or the tensor itself. */
function rowsOf(pool: HostTensor, { pages, q }: Given): { readonly data: ArrayLike<number>; readonly shape: readonly number[] } {
  if (pages === undefined) return pool;
  const [, H = 0, size = 0, D = 0] = pool.shape;
  const [B = 0] = q.shape;
  const each = pages.table.size / B;
  const shape = [B, H, each * size, D];
  const data = Float32Array.from({ length: B * H * each * size * D }, (_, i) => {
    const [d, t, h, b] = [i % D, Math.floor(i / D) % (each * size), Math.floor(i / D / each / size) % H, Math.floor(i / D / each / size / H)];
    const page = pages.table.data[b * each + Math.floor(t / size)]!;
    return pool.data[((page * H + h) * size + (t % size)) * D + d]!;
  });
  return { data, shape };
}

function inputsOf(given: Given): ReferenceInputs {
  const [k, v] = [rowsOf(given.k, given), rowsOf(given.v, given)];
  const [B = 0] = given.q.shape;
  const keys = given.keys === undefined ? (k.shape[2] ?? 0) : count(given.keys);
  return {
    q: array64(given.q.data, given.q.shape), k: array64(k.data, k.shape), v: array64(v.data, v.shape), mask: given.mask, scale: given.scale,
    qk: given.qk.map(({ hook }) => hook), score: given.score.map(({ hook }) => hook), qOffset: count(given.qOffset), kvOffset: count(given.kvOffset),
    ...(given.bias && { bias: array64(given.bias.data, given.bias.shape) }),
    ...(given.starts && { starts: given.starts.data }),
    lengths: Array.from({ length: B }, (_, b) => Math.min(keys, given.lengths?.data[b] ?? keys)),
  };
}

const opened = ({ q, k, v, bias, captures }: ReferenceGradients): Gradients => ({
  q: q.data, k: k.data, v: v.data, bias: bias?.data, tables: new Map([...captures].map(([{ name }, { data }]) => [name, data])),
});

/** The float64 reference as a kernel of host tensors, right but for a fault. */
export function hostKernel(fault: Fault = {}): KernelPlugin<"host", HostTensor> {
  const { reads = (inputs: ReferenceInputs): ReferenceInputs => inputs, writes, differentiates } = fault;
  return defineKernelPlugin({
    name: "host",
    preference: 1,
    paged: true,
    lower: () => "inline",
    unsupported: () => [],
    run(given: Given) {
      const inputs = reads(inputsOf(given), given);
      const forward = referenceAttention(inputs);
      const written = { o: Float32Array.from(forward.o.data), lse: Float32Array.from(forward.lse.data) };
      writes?.(written, given, inputs);
      const gradients = (through: "o" | "lse", seed: Float32Array): Gradients => {
        const zeros = new Float64Array(through === "o" ? forward.lse.data.length : forward.o.data.length);
        const [dO, dLse] = through === "o" ? [seed, zeros] : [zeros, seed];
        const found = opened(referenceGradients(inputs, array64(dO, forward.o.shape), array64(dLse, forward.lse.shape), forward));
        differentiates?.(found, given, through, inputs, seed);
        return found;
      };
      const tables = given.score.flatMap(({ params }) => Object.entries(params));
      const output = (through: "o" | "lse"): HostTensor => {
        // One walk back for all inputs, since each asks with the same seed.
        let last: { readonly seed: Float32Array; readonly found: Gradients } | undefined;
        const part = (of: (found: Gradients) => Float64Array | undefined, size: number) => (seed: Float32Array): Float32Array => {
          if (last?.seed !== seed) last = { seed, found: gradients(through, seed) };
          return Float32Array.from(of(last.found) ?? new Float64Array(size));
        };
        const origin = (source: HostTensor, of: (found: Gradients) => Float64Array | undefined) => ({ source, back: part(of, source.size) });
        return new HostTensor(given.q.engine, written[through], forward[through].shape, "f32", [
          origin(given.q, ({ q }) => q),
          ...(given.pages === undefined ? [origin(given.k, ({ k }) => k), origin(given.v, ({ v }) => v)] : []),
          ...(given.bias ? [origin(given.bias, ({ bias }) => bias)] : []),
          ...tables.map(([name, tensor]) => origin(tensor, (found) => found.tables.get(name))),
        ]);
      };
      return { o: output("o"), lse: output("lse") };
    },
  });
}
