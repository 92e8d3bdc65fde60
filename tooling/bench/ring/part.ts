import { positionsOf, ring, type RingEvent, type RingLayout, type RingPhase, type RingScheme } from "@polyhead/attn-ring";
import type { RingProblem } from "@polyhead/attn-ring/planning";
import type { Communicator, KernelInputs, Mask } from "@polyhead/core";
import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Engine, type Tensor } from "@polyhead/tensor";
import { randomArray } from "../random.ts";

/** What several devices share out. */
export interface RingShape {
  readonly tokens: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly mask: Mask;
  readonly layout: RingLayout;
  readonly scheme: RingScheme;
}

export const plannedOf = ({ tokens, heads, kvHeads, headDim, mask, layout }: RingShape, ranks: number): RingProblem => ({ ranks, tokens, heads, kvHeads, headDim, elementBytes: 4, mask, layout });

/** What one pass of one rank took. */
export interface Passed {
  readonly ms: number;
  readonly sentBytes: number;
  readonly events: readonly RingEvent[];
}

/** One rank's rows on a device, forward and backward. */
export interface Part {
  pass(phase: RingPhase): Promise<Passed>;
  /** Most bytes that tensors held since the part was made. */
  peakBytes(): number;
  release(): void;
}

let opened: Promise<Gpu>[] = [];

/** A device a rank, opened once. */
export function engineOf(rank: number): Promise<Engine> {
  opened = Array.from({ length: Math.max(opened.length, rank + 1) }, (_, i) => opened[i] ?? openNodeGpu());
  return opened[rank]!.then((gpu) => createEngine(gpu));
}

export function partOf(engine: Engine, communicator: Communicator, { tokens, heads, kvHeads, headDim, mask, layout, scheme }: RingShape): Part {
  const { gpu } = engine;
  gpu.trim();
  const rows = positionsOf(layout, communicator.rank, communicator.size, tokens).length;
  const before = gpu.stats.liveBytes;
  gpu.pool.peakBytes = before;
  const leaf = (count: number, seed: number): Tensor => engine.tensor(randomArray(count * rows * headDim, seed + 10 * communicator.rank), [1, count, rows, headDim], { requiresGrad: true });
  const leaves = [leaf(heads, 1), leaf(kvHeads, 2), leaf(kvHeads, 3)] as const;
  let upstream: Tensor | undefined;
  const [q, k, v] = leaves;
  const inputs: KernelInputs<Tensor> = { q, k, v, scale: 1 / Math.sqrt(headDim), mask, qOffset: 0, kvOffset: 0, qk: [], score: [], dropout: 0 };
  let events: RingEvent[] = [];
  const kernel = ring({ communicator, layout, scheme, length: tokens, observe: (event) => { events.push(event); } });
  let o: Tensor | undefined;
  return {
    async pass(phase) {
      events = [];
      const sent = communicator.traffic.sentBytes;
      if (phase === "forward") {
        o?.dispose();
        for (const input of leaves) input.zeroGrad();
      }
      else upstream ??= engine.tensor(randomArray(heads * rows * headDim, 4), [1, heads, rows, headDim]);
      await gpu.settled();
      await communicator.barrier();
      const start = performance.now();
      if (phase === "forward") o = engine.scope(() => kernel.run(inputs).o);
      else o!.backward(upstream);
      await gpu.settled();
      return { ms: performance.now() - start, sentBytes: communicator.traffic.sentBytes - sent, events };
    },
    peakBytes: () => gpu.stats.peakBytes - before,
    release() {
      for (const tensor of [o, upstream, ...leaves]) tensor?.dispose();
      gpu.trim();
    },
  };
}
