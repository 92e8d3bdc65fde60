import { gatherHeads, wireBytes, type RingPhase } from "@polyhead/attn-ring/planning";
import { localCommunicators } from "@polyhead/comm-local";
import { causal, full, window, type Mask } from "@polyhead/core";
import { engineOf, partOf, plannedOf, type Passed, type RingShape } from "./part.ts";

/** Uneven on purpose: 3 ranks of 67 tokens; grouped heads. */
const RANKS = 3;
const SHAPE = { tokens: 67, heads: 6, kvHeads: 3, headDim: 16 };
const MASKS: readonly (readonly [string, Mask])[] = [["full", full()], ["causal", causal()], ["window 20", window(20)]];

export interface WireCase {
  readonly name: string;
  readonly phase: RingPhase;
  readonly shape: RingShape;
}

const shapes: readonly (readonly [string, RingShape])[] = [
  ...MASKS.flatMap(([name, mask]) => (["contiguous", "zigzag", "striped"] as const).map((layout) => [`${name} ${layout}`, { ...SHAPE, mask, layout, scheme: "ring" }] as const)),
  ["causal heads", { ...SHAPE, mask: causal(), layout: "contiguous", scheme: "heads" }],
];

export const wireCases: readonly WireCase[] = shapes.flatMap(([name, shape]) => (["forward", "backward"] as const).map((phase) => ({ name: `wire ${phase} ${name}`, phase, shape })));

/** Bytes that all ranks send by formula. */
export function formulaBytes({ shape, phase }: WireCase): number {
  const planned = plannedOf(shape, RANKS);
  if (shape.scheme === "ring") return wireBytes(planned, phase).total;
  return gatherHeads({ ...planned, mask: full() }, { flops: 1, linkBytes: 1 }, phase).totalBytes;
}

/** What the kernel's ranks sent, by the communicators' own counters. */
export async function measureWire({ shape, phase }: WireCase): Promise<{ readonly ms: number; readonly sentBytes: number }> {
  const communicators = localCommunicators(RANKS, { timeoutMs: 600_000 });
  const passed = await Promise.all(communicators.map(async (communicator): Promise<Passed> => {
    const part = partOf(await engineOf(communicator.rank), communicator, shape);
    let last = await part.pass("forward");
    if (phase === "backward") last = await part.pass("backward");
    part.release();
    return last;
  }));
  await Promise.all(communicators.map((communicator) => communicator.close()));
  return { ms: Math.max(...passed.map(({ ms }) => ms)), sentBytes: passed.reduce((sum, { sentBytes }) => sum + sentBytes, 0) };
}
