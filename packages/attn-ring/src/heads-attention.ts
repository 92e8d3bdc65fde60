import type { Communicator, KernelInputs, KernelOutputs } from "@polyhead/core";
import { cutHead, flashAttention, flashGradients, learnedTensors } from "@polyhead/attn-flash/kernel";
import { linkMany, type Tensor } from "@polyhead/tensor";
import { AllToAll } from "./all-to-all.ts";
import type { WholeLengths } from "./call.ts";
import type { Coordinates } from "./coordinates.ts";
import type { RingLayout } from "./layout.ts";
import { offsetsOf, onWire } from "./operands.ts";

export interface HeadsAttentionOptions {
  readonly communicator: Communicator;
  readonly layout: RingLayout;
  readonly lengths: WholeLengths;
  /** Of some heads. */
  readonly coordinates: Coordinates;
}

/**
 * Attention by heads (Jacobs et al., 2023, arXiv:2309.14509, "DeepSpeed Ulysses"): an all-to-all trades rows of all heads for all
 * rows of some heads, each rank computes its heads as one device would, and another all-to-all brings the outputs home.
 * Backward trades the same way. Memory grows with the whole sequence, though for a part of the heads.
 *
 * @throws PolyheadError as `ringAttention`.
 */
export function headsAttention(inputs: KernelInputs<Tensor>, { communicator, layout, lengths, coordinates }: HeadsAttentionOptions): KernelOutputs<Tensor> {
  const { engine } = inputs.q;
  const { qOffset, kvOffset } = offsetsOf(inputs);
  const heads = inputs.q.shape[1]! / communicator.size;
  const queries = new AllToAll(engine.gpu, communicator, layout, lengths.queries);
  const keys = new AllToAll(engine.gpu, communicator, layout, lengths.keys);
  const all = { start: qOffset, stride: 1, length: lengths.queries };
  const here = (rows: Pick<KernelInputs<Tensor>, "q" | "k" | "v">): KernelInputs<Tensor> => ({
    ...inputs, ...rows, ...coordinates.meet(inputs.mask, inputs.score, all, { start: kvOffset, stride: 1, length: lengths.keys }, heads * communicator.rank),
  });
  return engine.scope(() => {
    const ready = onWire(inputs);
    const made = engine.noGrad(() =>
      engine.scope(() => {
        const [q, k, v] = [queries.gather(ready.q), keys.gather(ready.k), keys.gather(ready.v)];
        const { o, lse } = flashAttention(here({ q, k, v }));
        const column = lse.reshape([...lse.shape, 1]);
        return { q, k, v, o, lse, home: { o: queries.scatter(o), lse: queries.scatter(column).reshape(inputs.q.shape.slice(0, 3)) } };
      }),
    );
    const { home, ...kept } = made;
    const learned = learnedTensors(inputs.score);
    const captures = [...learned.keys()];
    linkMany([home.o, home.lse], {
      name: "attention by heads",
      inputs: [ready.q, ready.k, ready.v, ...learned.values()],
      saves: [kept.q, kept.k, kept.v, kept.o, kept.lse],
      backward: ([dO, dLse], [q, k, v, o, lse]) => {
        const wanted = { q: true, k: true, v: true, bias: false, learned: [...learned.values()].some((x) => x.requiresGrad) };
        const g = queries.gather(dO ?? engine.zeros([...ready.q.shape.slice(0, 3), ready.v.shape[3]!]));
        const gLse = queries.gather((dLse ?? engine.zeros(inputs.q.shape.slice(0, 3))).reshape([...inputs.q.shape.slice(0, 3), 1]));
        const found = flashGradients(here({ q: q!, k: k!, v: v! }), { o: o!, lse: lse!, dO: g, dLse: gLse.reshape(gLse.shape.slice(0, 3)) }, wanted);
        return [queries.scatter(found.dq!), keys.scatter(found.dk!), keys.scatter(found.dv!), ...captures.map((capture) => found.learned.get(capture))];
      },
    });
    return { o: cutHead(home.o, inputs.v.shape[3]!), lse: home.lse };
  });
}
