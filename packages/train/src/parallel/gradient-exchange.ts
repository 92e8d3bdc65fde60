import type { Communicator, Transfer } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import { planBuckets, type Bucket } from "./buckets.ts";

export interface GradientExchangeOptions {
  readonly engine: Engine;
  /** Nobody else uses it. */
  readonly communicator: Communicator;
  /** Leaves whose gradients are summed; the same ones, in the same order, on every rank. */
  readonly parameters: readonly Tensor[];
  readonly bucketBytes: number;
}

/** A bucket under way. */
interface Flight {
  readonly flat: Tensor;
  readonly staging: Float32Array;
  /** Set when the bucket's place among the commands has come. */
  summed: Promise<void> | undefined;
}

/**
 * Sums gradients over ranks, bucket by bucket, while the backward pass goes on. As soon as the gradients of a bucket are final they are
 * gathered in one tensor, of which they become views; the host reads it beside the commands that follow, and starts its
 * sum over the ranks. Before the optimiser's commands the host waits for all sums, and writes them back in place.
 *
 * A gradient that is not there counts as zero, and is there afterwards. Sums are f32 with the same bits on every rank.
 */
export class GradientExchange {
  readonly #options: GradientExchangeOptions;
  readonly #buckets: readonly Bucket[];
  readonly #bucketOf = new Map<Tensor, number>();
  /** Memory of the host's, a piece a bucket, used again by every update. */
  readonly #staging: Float32Array[] = [];
  #flights: Flight[] = [];
  /** Gradients that a bucket still waits for. */
  #awaited: number[] = [];
  /** When the sum of the bucket before has been asked for: ranks ask in one order. */
  #asked: Promise<unknown> = Promise.resolve();

  constructor(options: GradientExchangeOptions) {
    this.#options = options;
    const { parameters, bucketBytes } = options;
    this.#buckets = planBuckets(parameters.map(({ size }) => size), bucketBytes);
    this.#buckets.forEach(({ parts }, i) => { for (const { parameter } of parts) this.#bucketOf.set(parameters[parameter]!, i); });
  }

  /** Before the last backward pass of an update. */
  begin(): void {
    this.#flights = [];
    this.#awaited = this.#buckets.map(({ parts }) => parts.length);
    this.#asked = Promise.resolve();
  }

  /** Hears, in that pass, of every leaf whose gradient is final. */
  readonly ready = (leaf: Tensor): void => {
    const of = this.#bucketOf.get(leaf);
    if (of === undefined) return;
    this.#awaited[of]!--;
    while (this.#awaited[this.#flights.length] === 0) this.#launch(this.#buckets[this.#flights.length]!);
  };

  /**
   * After the backward pass: from here on the commands find the sums in the gradients, and in `extras`, f32 tensors of this update that
   * travel in a bucket of their own.
   */
  finish(extras: readonly Tensor[]): void {
    const { engine } = this.#options;
    for (const bucket of this.#buckets.slice(this.#flights.length)) this.#launch(bucket);
    const [last] = planBuckets(extras.map(({ size }) => size), Infinity);
    if (last !== undefined) this.#send(last, (at) => extras[at]!);
    const flights = this.#flights;
    const slices = flights.map(({ flat }) => flat.slice());
    engine.gpu.hostStep(async ({ write }) => {
      for (const [i, { staging, summed }] of flights.entries()) {
        await summed;
        write({ ...slices[i]!, size: staging.byteLength }, staging);
      }
    });
    engine.noGrad(() => {
      engine.scope(() => { for (const { parameter, start } of last?.parts ?? []) engine.assign(extras[parameter]!, viewOf(flights.at(-1)!.flat, start, extras[parameter]!)); });
    });
    for (const { flat } of flights) flat.dispose(); // the gradients hold it as long as they are needed
  }

  #launch(bucket: Bucket): void {
    const { engine, parameters } = this.#options;
    const leafAt = (at: number): Tensor => parameters[at]!;
    const flat = engine.scope(() => this.#send(bucket, (at) => leafAt(at).grad ?? engine.zeros(leafAt(at).shape)));
    for (const { parameter, start } of bucket.parts) {
      const leaf = leafAt(parameter);
      leaf.zeroGrad();
      leaf.grad = engine.keep(viewOf(flat, start, leaf));
    }
  }

  /** Gathers what a bucket holds, and asks for its sum when that has its place among the commands. */
  #send({ parts, length }: Bucket, at: (parameter: number) => Tensor): Tensor {
    const { engine, communicator } = this.#options;
    const flat = engine.keep(engine.empty([length]));
    engine.noGrad(() => {
      engine.scope(() => {
        for (const { parameter, start } of parts) {
          const part = at(parameter);
          engine.assign(viewOf(flat, start, part), part);
        }
      });
    });
    const flight: Flight = { flat, staging: this.#stagingOf(this.#flights.length, length), summed: undefined };
    this.#flights.push(flight);
    const slice = { ...flat.slice(), size: flight.staging.byteLength };
    engine.gpu.hostStep(({ read }) => {
      let sum: Transfer | undefined;
      const asked = Promise.all([read(slice, flight.staging), this.#asked]).then(() => { sum = communicator.allReduce(flight.staging); });
      this.#asked = asked;
      flight.summed = asked.then(() => sum!.wait());
      flight.summed.catch(() => undefined); // the step that waits for it is told
    });
    return flat;
  }

  #stagingOf(bucket: number, length: number): Float32Array {
    const known = this.#staging[bucket];
    return known?.length === length ? known : (this.#staging[bucket] = new Float32Array(length));
  }
}

/** The part of `flat` from element `start` on, in the shape of `like`. */
function viewOf(flat: Tensor, start: number, like: Tensor): Tensor {
  const strides = like.shape.map((_, axis) => like.shape.slice(axis + 1).reduce((product, n) => product * n, 1));
  return flat.view({ shape: like.shape, strides, offset: start });
}
