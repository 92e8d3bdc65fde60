import { deviceMemory, type RingPhase } from "@polyhead/attn-ring/planning";
import { localCommunicators } from "@polyhead/comm-local";
import { causal } from "@polyhead/core";
import { engineOf, partOf, plannedOf, type RingShape } from "./part.ts";

const SHAPE: RingShape = { tokens: 2048, heads: 4, kvHeads: 2, headDim: 64, mask: causal(), layout: "zigzag", scheme: "ring" };

export interface MemoryCase {
  readonly name: string;
  readonly phase: RingPhase;
  readonly ranks: number;
}

export const memoryCases: readonly MemoryCase[] = (["forward", "backward"] as const).flatMap((phase) => [1, 2, 4, 8].map((ranks) => ({ name: `memory ${phase} ${ranks} ranks`, phase, ranks })));

/** What the planner says that a device holds. */
export const formulaMemory = ({ ranks, phase }: MemoryCase): number => deviceMemory(plannedOf(SHAPE, ranks), phase).bytes;

/** Most bytes that any device's tensors held at once. */
export async function measureMemory({ ranks, phase }: MemoryCase): Promise<{ readonly ms: number; readonly peakBytes: number }> {
  const communicators = localCommunicators(ranks, { timeoutMs: 600_000 });
  const found = await Promise.all(communicators.map(async (communicator) => {
    const part = partOf(await engineOf(communicator.rank), communicator, SHAPE);
    let { ms } = await part.pass("forward");
    if (phase === "backward") ({ ms } = await part.pass("backward"));
    const peakBytes = part.peakBytes();
    part.release();
    return { ms, peakBytes };
  }));
  await Promise.all(communicators.map((communicator) => communicator.close()));
  return { ms: Math.max(...found.map(({ ms }) => ms)), peakBytes: Math.max(...found.map(({ peakBytes }) => peakBytes)) };
}
