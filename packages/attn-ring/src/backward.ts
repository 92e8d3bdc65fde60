import type { Capture, KernelInputs } from "@polyhead/core";
import { flashGradients, type RowResults, type Wanted } from "@polyhead/attn-flash/kernel";
import { add, type Engine, type Tensor } from "@polyhead/tensor";
import { blockBytes, blockSize, emptyBlock, placeOf, readBlock, shapeOfBlock, writeBlock } from "./blocks.ts";
import { meetingInputs, type RingCall } from "./call.ts";
import { Circulation } from "./circulation.ts";
import { Homecoming } from "./homecoming.ts";
import { cutRows, joinRows } from "./parts.ts";
import { StepClock } from "./step-clock.ts";

export interface RingGradients {
  readonly dq: Tensor;
  readonly dk: Tensor;
  readonly dv: Tensor;
  /** This rank's part: parameters are alike on all ranks, and so the sum over ranks is made where all their gradients are. */
  readonly learned: ReadonlyMap<Capture, Tensor>;
}

/** Sums that outlive the scopes in which their terms are made. */
class Sum {
  total: Tensor | undefined;

  add(term: Tensor): void {
    const { engine } = term;
    const before = this.total;
    this.total = engine.keep(before === undefined ? term.contiguous() : add(before, term));
    before?.dispose();
  }

  /** Into the scope at hand; zeros of `shape` where nothing was added. */
  take(engine: Engine, shape: readonly number[]): Tensor {
    if (this.total === undefined) return engine.zeros(shape);
    engine.track(this.total);
    return this.total;
  }
}

/**
 * The backward pass: keys and values go around once more. A rank's part of their gradients is read while the device
 * computes the next step, added on the host to the sum that comes behind the block, and sent on; from the last rank that
 * needs the block, the sum goes home.
 *
 * `inputs` as in `ringForward`; `results` are those of the whole softmax.
 */
export function ringBackward(call: RingCall, inputs: KernelInputs<Tensor>, results: RowResults, learns: boolean): RingGradients {
  const { schedule, communicator: { rank }, communicator } = call;
  const { q, k, v } = inputs;
  const { engine } = q;
  const shape = shapeOfBlock({ k, v });
  const clock = new StepClock(engine.gpu, "backward", call.observe);
  const sizeOf = (block: number): number => blockSize(shape, schedule.rowsOf(block));
  const circulation = new Circulation({ communicator, schedule, bytesOf: (block) => blockBytes(shape, schedule.rowsOf(block)), observe: clock.transfer });
  const homecoming = new Homecoming({ communicator, schedule, sizeOf, observe: clock.transfer });
  const shares = new Shares(homecoming);
  const pieces = schedule.queriesOf(rank);
  const [qs, os, lses, dOs, dLses] = [q, results.o, results.lse, results.dO, results.dLse].map((x) => x && cutRows(x, pieces));
  const dqs = pieces.map(() => new Sum());
  const learned = new Map<Capture, Sum>();
  const wanted: Wanted = { q: true, k: true, v: true, bias: false, learned: learns };
  const own: { dk: Sum; dv: Sum } = { dk: new Sum(), dv: new Sum() };

  const ownPlace = placeOf({ k, v });
  engine.gpu.hostStep((host) => {
    homecoming.begin();
    circulation.begin((into) => clock.read(0, into.byteLength, () => readBlock(host, ownPlace, into)));
  });
  for (let step = 0; step <= schedule.steps; step++) {
    const block = schedule.blockAt(step, rank);
    const keys = schedule.keysOf(block);
    const pairs = schedule.pairs(rank, block);
    engine.scope(() => {
      const held = step === 0 ? { k, v } : emptyBlock(engine, shape, schedule.rowsOf(block));
      if (step > 0) {
        const place = placeOf(held);
        engine.gpu.hostStep(async (host) => {
          await homecoming.expect(step);
          const arrived = await circulation.next();
          if (arrived !== undefined && pairs.length > 0) clock.upload(step, arrived.byteLength, () => { writeBlock(host, place, arrived); });
        });
      }
      const sums = keys.map(() => ({ dk: new Sum(), dv: new Sum() }));
      clock.compute(step, () => {
        const [ks, vs] = [cutRows(held.k, keys), cutRows(held.v, keys)];
        for (const pair of pairs) {
          const found = flashGradients(
            meetingInputs(call, inputs, { q: qs![pair.q]!, k: ks[pair.k]!, v: vs[pair.k]! }, pair, block),
            { o: os![pair.q]!, lse: lses![pair.q]!, dO: dOs?.[pair.q], dLse: dLses?.[pair.q] },
            wanted,
          );
          dqs[pair.q]!.add(found.dq!);
          sums[pair.k]!.dk.add(found.dk!);
          sums[pair.k]!.dv.add(found.dv!);
          for (const [capture, gradient] of found.learned) {
            const sum = learned.get(capture) ?? new Sum();
            learned.set(capture, sum);
            sum.add(gradient);
          }
        }
      });
      const whole = (side: "dk" | "dv", d: number): Tensor => joinRows(sums.map((sum, i) => sum[side].take(engine, [shape.batch, shape.heads, keys[i]!.length, d])));
      if (step === 0) {
        own.dk.add(whole("dk", shape.d));
        own.dv.add(whole("dv", shape.dv));
      } else {
        const share = pairs.length > 0 ? placeOf({ k: whole("dk", shape.d).contiguous(), v: whole("dv", shape.dv).contiguous() }) : undefined;
        engine.gpu.hostStep(async (host) => {
          shares.read(step, share && ((into) => clock.read(step, into.byteLength, () => readBlock(host, share, into))), sizeOf(block));
          await shares.pass(step - 1);
        });
      }
    });
  }
  const others = { k: engine.empty(k.shape), v: engine.empty(v.shape) };
  const othersPlace = placeOf(others);
  engine.gpu.hostStep(async (host) => {
    await shares.pass(schedule.steps);
    const sum = (await homecoming.home()) ?? new Float32Array(sizeOf(rank));
    clock.upload(schedule.steps, sum.byteLength, () => { writeBlock(host, othersPlace, new Uint8Array(sum.buffer)); });
  });
  return {
    dq: joinRows(dqs.map((sum, i) => sum.take(engine, [...q.shape.slice(0, 2), pieces[i]!.length, q.shape[3]!]))),
    dk: add(own.dk.take(engine, k.shape), others.k),
    dv: add(own.dv.take(engine, v.shape), others.v),
    learned: new Map([...learned].map(([capture, sum]) => [capture, sum.take(engine, [])])),
  };
}

/** This rank's parts on their way from the device: one is read while the one before it is added and sent. */
class Shares {
  readonly #homecoming: Homecoming;
  readonly #memory: [Float32Array | undefined, Float32Array | undefined] = [undefined, undefined];
  readonly #reading = new Map<number, Promise<Float32Array | undefined>>();

  constructor(homecoming: Homecoming) {
    this.#homecoming = homecoming;
  }

  /** Starts to read the part of a step of `size` numbers, where there is one. */
  read(step: number, fill: ((into: Uint8Array) => Promise<void>) | undefined, size: number): void {
    if (fill === undefined) return;
    const place = step % 2 as 0 | 1;
    const memory = this.#memory[place];
    const share = memory !== undefined && memory.length >= size ? memory.subarray(0, size) : (this.#memory[place] = new Float32Array(size));
    const reading = fill(new Uint8Array(share.buffer, share.byteOffset, share.byteLength)).then(() => share);
    reading.catch(() => undefined); // told where it is added
    this.#reading.set(step, reading);
  }

  async pass(step: number): Promise<void> {
    const share = await this.#reading.get(step);
    this.#reading.delete(step);
    await this.#homecoming.pass(step, share);
  }
}
