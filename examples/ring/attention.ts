import { ring, type RingEvent, type RingPhase } from "@polyhead/attn-ring";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import type { Communicator, KernelInputs, KernelOutputs } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { Options } from "./arguments.ts";
import { rowsAt } from "./rows.ts";

/** An attention that stands ready on one device: over a ring, or alone. */
export interface Attention {
  /** Called for one pass; resolves when the device has done it. */
  forward(): Promise<void>;
  /** After {@link Attention.forward}. */
  backward(): Promise<void>;
  /** o, and dq, dk and dv after a backward pass. */
  read(): Promise<Record<string, Float32Array>>;
  release(): void;
}

type Run = (inputs: KernelInputs<Tensor>) => KernelOutputs<Tensor>;

/** The rows of some tokens, with leaves where gradients are wanted. */
function attentionOn(engine: Engine, positions: Uint32Array, options: Options, run: Run): Attention {
  const { heads, kvHeads, headDim, seq, mask, backward, dtype } = options;
  const rows = (kind: "q" | "k" | "v" | "g", of: number): Tensor => engine.tensor(rowsAt(kind, positions, { heads: of, headDim, seq }), [1, of, positions.length, headDim], { requiresGrad: backward && kind !== "g", dtype: dtype === "f16" && kind !== "g" ? "f16" : "f32" });
  const [q, k, v, g] = [rows("q", heads), rows("k", kvHeads), rows("v", kvHeads), backward ? rows("g", heads) : undefined];
  const inputs: KernelInputs<Tensor> = { q, k, v, scale: 1 / Math.sqrt(headDim), mask, qOffset: 0, kvOffset: 0, qk: [], score: [], dropout: 0 };
  let o: Tensor | undefined;
  const leaves = [q, k, v];
  return {
    async forward() {
      o?.dispose();
      for (const leaf of leaves) leaf.zeroGrad();
      o = engine.withGrad(backward, () => engine.scope(() => run(inputs).o));
      await engine.gpu.settled();
    },
    async backward() {
      o!.backward(g);
      await engine.gpu.settled();
    },
    async read() {
      const found: Record<string, Tensor> = { o: o!, ...(backward && { dq: q.grad!, dk: k.grad!, dv: v.grad! }) };
      const read: Record<string, Float32Array> = {};
      for (const [name, tensor] of Object.entries(found)) read[name] = (await tensor.read()) as Float32Array;
      return read;
    },
    release() {
      for (const tensor of [o, g, ...leaves]) tensor?.dispose();
    },
  };
}

/** This rank's part, and what it does when, as it is told to `observe`. */
export function ringPart(engine: Engine, communicator: Communicator, positions: Uint32Array, options: Options, observe: (event: RingEvent) => void): Attention {
  const { layout, scheme, seq } = options;
  const kernel = ring({ communicator, layout, scheme, length: seq, observe });
  return attentionOn(engine, positions, options, (inputs) => kernel.run(inputs));
}

/** Everything on one device. */
export const alone = (engine: Engine, options: Options): Attention => attentionOn(engine, Uint32Array.from({ length: options.seq }, (_, i) => i), options, (inputs) => flashAttention(inputs));

export const phasesOf = ({ backward }: Options): RingPhase[] => (backward ? ["forward", "backward"] : ["forward"]);
