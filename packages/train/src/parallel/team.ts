import { PolyheadError } from "@polyhead/core";
import type { TrainableModel } from "@polyhead/model";
import type { Tensor } from "@polyhead/tensor";
import type { Batch } from "../batches.ts";
import type { AdamW } from "../optimizer.ts";
import { agree, compare, fingerprint, fingerprintOfText, type Alike } from "./agreement.ts";
import { broadcastState } from "./broadcast-state.ts";
import { GradientExchange } from "./gradient-exchange.ts";
import { checkPlaces } from "./places.ts";
import type { Ranks } from "./ranks.ts";
import { shareOf, type Share } from "./share.ts";

/** Training over several ranks: what `TrainerOptions.parallel` takes. */
export interface ParallelOptions {
  /** From `arrangeRanks`. */
  readonly ranks: Ranks;
  /**
   * Places in a window of `length` tokens that this rank holds, in the order of its rows: needed where ranks share windows, and the same
   * that the attention kernel goes by. All ranks of a window together hold every place once.
   */
  readonly positions?: (length: number) => Uint32Array;
  /** Gradients are summed over the ranks in pieces of about so many bytes. Default 4 MiB. */
  readonly bucketBytes?: number;
  /** Updates after which the bits of one parameter, each in turn, are compared between ranks. Default 100. */
  readonly checkEvery?: number;
}

export interface TeamOptions extends ParallelOptions {
  readonly model: TrainableModel;
  readonly optimizer: AdamW;
}

/** One rank's part in a training of several. What it does not do alone, every rank does at the same point of the run. */
export class Team {
  readonly exchange: GradientExchange;
  /** How far this rank's random streams are from those of rank 0, so that each drops others. */
  readonly lane: number;
  readonly #options: TeamOptions;
  readonly #places: Uint32Array | undefined;
  readonly #positions = new Map<number, Tensor>();
  /** Whether its state may not be rank 0's. */
  #changed = true;

  /** @throws PolyheadError `TRAIN_POSITIONS`, `TRAIN_RANKS`. */
  constructor(options: TeamOptions) {
    const { ranks: { world, sequence, gradients }, model, optimizer, positions, bucketBytes = 4 * 2 ** 20 } = options;
    this.#options = options;
    this.lane = Math.floor(2 ** 32 / world.size) * world.rank;
    if (sequence.size > 1) {
      if (model.spec.architecture === "encoder-decoder") throw new PolyheadError("TRAIN_RANKS", `${sequence.size} ranks share each window of an encoder-decoder, which reads one text and writes another`, "use sequenceRanks: 1; ranks then differ in which windows they take");
      checkKernels(model, sequence.size);
      this.#places = checkPlaces(positions?.(model.spec.context), model.spec.context, sequence.size);
    }
    this.exchange = new GradientExchange({ engine: model.engine, communicator: gradients, parameters: optimizer.parameters.map(({ tensor }) => tensor), bucketBytes });
  }

  /** The state was replaced on this rank: rank 0's counts. */
  stateReplaced(): void {
    this.#changed = true;
  }

  /**
   * Before anything else of a run: are the ranks of one mind, and do they start from the state of rank 0?
   *
   * @throws PolyheadError `TRAIN_RANKS_DIFFER`, `TRAIN_POSITIONS`
   */
  async begin(alike: Alike): Promise<void> {
    const { ranks: { control, sequence, dataRanks }, model, optimizer, bucketBytes = 0, checkEvery = 0 } = this.#options;
    const { spec: { context, vocab }, parameters } = model;
    const [changed] = await agree(control, "before training", {
      ...alike, context, vocab, bucketBytes, checkEvery,
      "the number of ranks of a window": sequence.size,
      "the list of parameters": fingerprintOfText(parameters.all.map(({ name, tensor }) => `${name} ${tensor.shape.join()}`).join("\n")),
    }, [Number(this.#changed)]);
    if (changed === 0) return;
    if (this.#places !== undefined) {
      const held = new Float32Array(context);
      for (const place of this.#places) held[place] = 1;
      await control.allReduce(held).wait();
      const wrong = held.findIndex((count) => count !== dataRanks);
      if (wrong >= 0) throw new PolyheadError("TRAIN_POSITIONS", `place ${wrong} of a window is held ${held[wrong]!} times by ${dataRanks} groups of ranks, each of which shares a window`, "give positions that together hold every place once, such as those of the attention kernel's layout");
    }
    await broadcastState(control, model, optimizer);
    this.#changed = false;
  }

  /**
   * Before an update: does every rank see the same batches, and does any want to stop?
   *
   * @throws PolyheadError `TRAIN_RANKS_DIFFER`; `TRAIN_RANK_FAILED` where another rank's data failed
   */
  async before(step: number, batches: readonly Batch[] | undefined, rate: number, stop: boolean): Promise<boolean> {
    const { ranks: { control } } = this.#options;
    const failed = batches === undefined ? control.rank + 1 : 0;
    const { difference, largest: [stopping, failing] } = await compare(control, `before update ${step + 1}`, {
      "the number of updates": step,
      "the learning rate": rate,
      "the batch": fingerprint((batches ?? []).flatMap(({ inputs, targets }) => [fingerprint(inputs), fingerprint(targets)])),
    }, [Number(stop), failed]);
    if (failing! > 0) { // no wonder if something differs then
      if (failed > 0) return true;
      throw new PolyheadError("TRAIN_RANK_FAILED", `rank ${failing! - 1} has no batch for update ${step + 1}`, "look at that rank's own error; resume from the last checkpoint");
    }
    if (difference !== undefined) throw difference;
    return stopping === 1;
  }

  /** After an update: now and then, are the weights still the same? @throws PolyheadError `TRAIN_RANKS_DIFFER` naming the parameter. */
  async after(step: number): Promise<void> {
    const { ranks: { control }, model: { parameters: { all } }, checkEvery = 100 } = this.#options;
    if (step % checkEvery !== 0) return;
    const { name, tensor } = all[(step / checkEvery) % all.length]!;
    const bits = await tensor.read();
    await agree(control, `after update ${step}`, { [`the parameter '${name}'`]: fingerprint(new Uint32Array(bits.buffer, bits.byteOffset, bits.length)) });
  }

  /** This rank's part of a batch of training, which divides, or of an evaluation, which need not. @throws PolyheadError `TRAIN_RANKS`. */
  share(batch: Batch, even: boolean): Share {
    return shareOf(batch, { context: this.#options.model.spec.context, ranks: this.#options.ranks, places: this.#places, even });
  }

  /** Positions of this rank's tokens, u32 `[rows, tokens]`, where windows are shared. It lives until `dispose`. */
  positionsOf(rows: number): Tensor | undefined {
    const places = this.#places;
    if (places === undefined) return undefined;
    const known = this.#positions.get(rows);
    if (known !== undefined) return known;
    const { engine } = this.#options.model;
    const made = engine.keep(engine.tensor(Uint32Array.from({ length: rows * places.length }, (_, i) => places[i % places.length]!), [rows, places.length], { dtype: "u32" }));
    this.#positions.set(rows, made);
    return made;
  }

  /** The sum of `value` over all ranks. */
  async sum(value: number): Promise<number> {
    const data = Float64Array.of(value);
    await this.#options.ranks.control.allReduce(data).wait();
    return data[0]!;
  }

  dispose(): void {
    for (const tensor of this.#positions.values()) tensor.dispose();
    this.#positions.clear();
  }
}

/** A kernel that knows only the rows it is given would leave out those of the other ranks, without a word. */
function checkKernels({ plans = [] }: TrainableModel, ranks: number): void {
  for (const { of, plan: { kernel, refused } } of plans) {
    if (kernel.ranks === ranks) continue;
    const why = refused.map((refusal) => `; '${refusal.kernel}' was turned down: ${refusal.why.join(", ")}`).join("");
    throw new PolyheadError("TRAIN_RANKS", `${ranks} ranks share each window, and kernel '${kernel.name}' of ${of} attends over ${kernel.ranks ?? 1}${why}`, "give the lab a kernel that spans them, such as ring({ communicator: ranks.sequence }) of @polyhead/attn-ring, or use sequenceRanks: 1");
  }
}
