import type { Communicator, KernelInputs } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { limitsOf } from "./parts.ts";
import type { RingObserver } from "./planning/timeline.ts";
import type { Pair, RingSchedule } from "./schedule.ts";

/** One attention over the ranks of a communicator. */
export interface RingCall {
  readonly communicator: Communicator;
  readonly schedule: RingSchedule;
  /** Global position of key 0, from which padding is counted. */
  readonly kvOffset: number;
  readonly observe: RingObserver | undefined;
}

/** Lengths of the whole sequences, over all ranks. */
export interface WholeLengths {
  readonly queries: number;
  readonly keys: number;
}

/** What a fused kernel is given for a run of queries and a run of keys, at their global places. */
export function meetingInputs({ schedule, kvOffset, communicator }: RingCall, inputs: KernelInputs<Tensor>, rows: Pick<KernelInputs<Tensor>, "q" | "k" | "v">, pair: Pair, block: number): KernelInputs<Tensor> {
  const [q, k] = [schedule.queriesOf(communicator.rank)[pair.q]!, schedule.keysOf(block)[pair.k]!];
  return { ...inputs, ...rows, ...limitsOf(inputs, k, kvOffset), ...schedule.coordinates.meet(inputs.mask, inputs.score, q, k) };
}
