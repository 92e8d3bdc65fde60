import { PolyheadError, type Communicator, type KernelInputs, type KernelOutputs } from "@polyhead/core";
import { cutHead, learnedTensors } from "@polyhead/attn-flash/kernel";
import { linkMany, type Tensor } from "@polyhead/tensor";
import { ringBackward } from "./backward.ts";
import type { RingCall, WholeLengths } from "./call.ts";
import { ringForward } from "./forward.ts";
import { lengthOf, type RingLayout } from "./layout.ts";
import { offsetsOf, onWire } from "./operands.ts";
import type { RingObserver } from "./planning/timeline.ts";
import type { Schedules } from "./schedule.ts";

export interface RingAttentionOptions {
  readonly communicator: Communicator;
  readonly layout: RingLayout;
  readonly lengths: WholeLengths;
  readonly schedules: Schedules;
  readonly observe?: RingObserver | undefined;
}

/**
 * Ring attention (Liu, Zaharia and Abbeel, 2023, arXiv:2310.01889): each rank holds the rows of some tokens; keys and values go
 * around while every rank computes, and log-sum-exps merge what it finds. Memory: eight blocks of a rank's rows forward,
 * fourteen backward at the peak, whatever the number of ranks.
 *
 * Inputs and outputs are this rank's rows, in the order of its layout. Masks and score hooks see global positions.
 *
 * @throws PolyheadError `ATTN_SHAPE` where rows are not those of the layout, `ATTN_HOOK`, `ATTN_TABLE`; at the next read, the communicator's.
 */
export function ringAttention(inputs: KernelInputs<Tensor>, { communicator, layout, lengths, schedules, observe }: RingAttentionOptions): KernelOutputs<Tensor> {
  const { engine, shape: [batch = 0, heads = 0, rows] } = inputs.q;
  const { qOffset, kvOffset } = offsetsOf(inputs);
  const schedule = schedules.of({ mask: inputs.mask, batch, heads, queries: lengths.queries, keys: lengths.keys, qOffset, kvOffset });
  const expected = [lengthOf(schedule.queriesOf(communicator.rank)), schedule.rowsOf(communicator.rank)];
  if (rows !== expected[0] || inputs.k.shape[2] !== expected[1]) {
    throw new PolyheadError("ATTN_SHAPE", `rank ${communicator.rank} of ${communicator.size} was given ${rows} queries and ${inputs.k.shape[2]} keys; layout '${layout}' of ${lengths.queries} and ${lengths.keys} gives it ${expected.join(" and ")}`, "cut the sequence with piecesOf(), and say how long the whole is: ring({ length })");
  }
  const call: RingCall = { communicator, schedule, kvOffset, observe };
  return engine.scope(() => {
    const ready = onWire(inputs);
    const { o, lse } = engine.noGrad(() => engine.scope(() => ringForward(call, { ...inputs, ...ready })));
    const learned = learnedTensors(inputs.score);
    const captures = [...learned.keys()];
    linkMany([o, lse], {
      name: "ring attention",
      inputs: [ready.q, ready.k, ready.v, ...learned.values()],
      saves: [ready.q, ready.k, ready.v, o, lse],
      backward: ([dO, dLse], [q, k, v, o, lse]) => {
        const found = ringBackward(call, { ...inputs, q: q!, k: k!, v: v! }, { o: o!, lse: lse!, dO, dLse }, [...learned.values()].some((x) => x.requiresGrad));
        return [found.dq, found.dk, found.dv, ...captures.map((capture) => found.learned.get(capture))];
      },
    });
    return { o: cutHead(o, inputs.v.shape[3]!), lse };
  });
}
