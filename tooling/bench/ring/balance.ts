import type { RingLayout } from "@polyhead/attn-ring";
import { balanceOf, countSteps } from "@polyhead/attn-ring/planning";
import { causal } from "@polyhead/core";
import { isSoftwareAdapter } from "@polyhead/gpu";
import process from "node:process";
import { engineOf, partOf, plannedOf, type RingShape } from "./part.ts";
import { solo } from "./solo.ts";

const RANKS = 4;

export interface BalanceCase {
  readonly name: string;
  readonly shape: RingShape;
}

export const balanceCases = (quick: boolean): BalanceCase[] =>
  (["contiguous", "striped", "zigzag"] as const satisfies readonly RingLayout[]).map((layout) => ({ name: `balance causal ${layout}`, shape: { tokens: quick ? 2048 : 4096, heads: 4, kvHeads: 2, headDim: 64, mask: causal(), layout, scheme: "ring" } }));

/** Greatest work of a rank over the mean, counted from the layout. */
export const theoryOf = ({ shape }: BalanceCase): number => 1 / balanceOf(countSteps(plannedOf(shape, RANKS))).overall;

export interface Balance {
  /** Milliseconds of each rank's own work, the least. */
  readonly ms: readonly number[];
  /** What was taken for time: a clock's, or on a software GPU the processor's, to which other processes do not add. */
  readonly clock: "wall" | "processor";
  readonly ratio: number;
}

/** Forward passes of one rank after the other on one device, its peers always ready: nothing but its own work takes time. */
export async function measureBalance({ shape }: BalanceCase, reps: number): Promise<Balance> {
  const engine = await engineOf(0);
  const clock = isSoftwareAdapter(engine.gpu.device.adapterInfo) ? "processor" : "wall";
  const parts = Array.from({ length: RANKS }, (_, rank) => partOf(engine, solo(rank, RANKS), shape));
  const least = parts.map(() => Infinity);
  // The first one compiles.
  for (let i = 0; i <= reps; i++) {
    for (const [rank, part] of parts.entries()) {
      const before = process.cpuUsage();
      const { ms } = await part.pass("forward");
      const { user, system } = process.cpuUsage(before);
      if (i > 0) least[rank] = Math.min(least[rank]!, clock === "processor" ? (user + system) / 1000 : ms);
    }
  }
  for (const part of parts) part.release();
  return { ms: least, clock, ratio: Math.max(...least) / (least.reduce((a, b) => a + b, 0) / RANKS) };
}
