import type { KernelInputs } from "@polyhead/core";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import type { Tensor } from "@polyhead/tensor";
import { blockBytes, emptyBlock, placeOf, readBlock, shapeOfBlock, writeBlock } from "./blocks.ts";
import { meetingInputs, type RingCall } from "./call.ts";
import { Circulation } from "./circulation.ts";
import { StepClock } from "./step-clock.ts";
import { cutRows, joinRows, mergePartials, nothingSeen, type Partial } from "./parts.ts";

/**
 * The forward pass: at step s this rank's queries meet the keys that s hops have brought here, and what they find is merged
 * into what they found before. While the device computes a step, the next block is on its way.
 *
 * It records everything at once; transfers are steps of the host's among the commands. `inputs` have contiguous k and v and heads in fours.
 */
export function ringForward(call: RingCall, inputs: KernelInputs<Tensor>): Partial {
  const { schedule, communicator: { rank }, communicator } = call;
  const { q, k, v } = inputs;
  const { engine } = q;
  const shape = shapeOfBlock({ k, v });
  const clock = new StepClock(engine.gpu, "forward", call.observe);
  const circulation = new Circulation({ communicator, schedule, bytesOf: (block) => blockBytes(shape, schedule.rowsOf(block)), observe: clock.transfer });
  const pieces = schedule.queriesOf(rank);
  const rows = cutRows(q, pieces);
  const found: (Partial | undefined)[] = pieces.map(() => undefined);

  const own = placeOf({ k, v });
  engine.gpu.hostStep((host) => {
    circulation.begin((into) => clock.read(0, into.byteLength, () => readBlock(host, own, into)));
  });
  for (let step = 0; step <= schedule.steps; step++) {
    const block = schedule.blockAt(step, rank);
    engine.scope(() => {
      const pairs = schedule.pairs(rank, block);
      const held = step === 0 ? { k, v } : emptyBlock(engine, shape, schedule.rowsOf(block));
      if (step > 0) {
        const place = placeOf(held);
        engine.gpu.hostStep(async (host) => {
          const arrived = await circulation.next();
          if (arrived !== undefined && pairs.length > 0) clock.upload(step, arrived.byteLength, () => { writeBlock(host, place, arrived); });
        });
      }
      clock.compute(step, () => {
        const [ks, vs] = [cutRows(held.k, schedule.keysOf(block)), cutRows(held.v, schedule.keysOf(block))];
        for (const pair of pairs) {
          const part = flashAttention(meetingInputs(call, inputs, { q: rows[pair.q]!, k: ks[pair.k]!, v: vs[pair.k]! }, pair, block));
          const before = found[pair.q];
          const after = before === undefined ? { o: part.o.contiguous(), lse: part.lse.contiguous() } : mergePartials(before, part);
          if (before !== undefined) before.lse.dispose();
          found[pair.q] = { o: engine.keep(after.o), lse: engine.keep(after.lse) };
        }
      });
    });
  }
  const all = found.map((partial, i) => partial ?? nothingSeen(engine, q.shape, pieces[i]!.length, v.shape[3]!));
  for (const { o, lse } of all) for (const x of [o, lse]) engine.track(x);
  return { o: joinRows(all.map(({ o }) => o)), lse: joinRows(all.map(({ lse }) => lse)) };
}
