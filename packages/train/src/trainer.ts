import { PolyheadError } from "@polyhead/core";
import { ExpertBalance, type TrainableModel } from "@polyhead/model";
import type { Engine } from "@polyhead/tensor";
import type { Batch, BatchSource } from "./batches.ts";
import { AdamW, type AdamWOptions } from "./optimizer.ts";
import { fingerprint } from "./parallel/agreement.ts";
import { wholeOf, type Share } from "./parallel/share.ts";
import { Team, type ParallelOptions } from "./parallel/team.ts";
import type { Schedule } from "./schedule.ts";
import { Update, type ReplayMode, type ReplayState } from "./update.ts";

export interface TrainerOptions<M extends TrainableModel = TrainableModel> {
  readonly model: M;
  readonly data: BatchSource;
  /** Evaluated as it is, in chunks of `evaluationRows` windows. */
  readonly validation?: Batch;
  readonly evaluationRows?: number;
  readonly schedule: Schedule;
  readonly optimizer?: AdamWOptions;
  /**
   * How far an update moves the correction of each expert, so that all get their share of the tokens (DeepSeek-V3: 0.001). Default: not
   * at all. The model's mixtures then need a correction.
   */
  readonly expertSpeed?: number;
  /** Micro-batches summed into one update; the gradient is that of their mean loss. */
  readonly accumulate?: number;
  /** Updates between two reports: their losses come from the GPU in one read. */
  readonly reportEvery?: number;
  /** Updates between two evaluations; the last update is always followed by one. */
  readonly evaluateEvery?: number;
  /**
   * Records the second update and replays it from then on, with no JavaScript for the operators and the same bits. `auto`
   * (default) runs as usual what cannot be replayed, such as a batch of another shape, and says why in `Trainer.replay`; `true` throws then.
   * A recording keeps the memory of one update until `dispose`.
   */
  readonly replay?: ReplayMode;
  /**
   * Several ranks train together: each takes its share of every batch, gradients are summed over all of them, and every rank
   * ends with the same weights, to the bit. Every rank makes the same trainer and the same calls of `run` and `evaluate`.
   * Updates are not replayed then.
   */
  readonly parallel?: ParallelOptions;
}

/** One update. */
export interface StepRecord {
  readonly kind: "step";
  /** Counted from 1. */
  readonly step: number;
  /** Mean cross-entropy before the update, nats a token. */
  readonly loss: number;
  readonly rate: number;
  /** Global gradient norm before clipping. */
  readonly gradNorm: number;
  /** Of training alone, over the updates since the last report. */
  readonly tokensPerSecond: number;
}

export interface EvaluationRecord {
  readonly kind: "evaluation";
  readonly step: number;
  /** Mean cross-entropy over the validation windows, nats a token. */
  readonly loss: number;
}

export type TrainRecord = StepRecord | EvaluationRecord;

/**
 * The training loop: forward, backward, update. It is a plain generator of records; saving, logging and drawing are the
 * caller's, between two of them. Same seed, same numbers: a run that is resumed equals one that never stopped, bit by bit.
 */
export class Trainer<M extends TrainableModel = TrainableModel> {
  readonly model: M;
  readonly optimizer: AdamW;
  readonly #options: TrainerOptions;
  readonly #engine: Engine;
  readonly #update: Update;
  /** Undefined for a rank by itself, which has nobody to agree with. */
  readonly #team: Team | undefined;
  #failure: Error | undefined;

  /** @throws PolyheadError `TRAIN_POSITIONS`, `TRAIN_RANKS` for parallel options that cannot be. */
  constructor(options: TrainerOptions<M>) {
    this.model = options.model;
    this.optimizer = new AdamW(options.model.parameters, options.optimizer);
    this.#options = options;
    this.#engine = options.model.engine;
    const { model, accumulate = 1, reportEvery = 1, replay = "auto", expertSpeed, parallel } = options;
    this.#team = parallel === undefined || parallel.ranks.world.size === 1 ? undefined : new Team({ ...parallel, model, optimizer: this.optimizer });
    const balance = expertSpeed === undefined ? {} : { balance: new ExpertBalance(model.parameters, expertSpeed) };
    this.#update = new Update({ model, optimizer: this.optimizer, accumulate, rows: reportEvery, replay, ...balance, ...(this.#team && { team: this.#team }) });
  }

  /** Updates done so far. */
  get step(): number {
    return this.optimizer.steps;
  }

  /** Whether the last update was replayed, and why (not). */
  get replay(): ReplayState {
    return this.#update.state;
  }

  /**
   * Trains until `until` updates are done. When `signal` aborts, it finishes the update at hand, reports it and ends:
   * the state is then as good as at any other step. Of several ranks all end when one is told to.
   *
   * @throws PolyheadError `TRAIN_DIVERGED` when the loss is no longer a number, `TRAIN_REPLAY` for `replay: true` where it is impossible;
   *   of several ranks `TRAIN_RANKS`, `TRAIN_RANKS_DIFFER`, `TRAIN_RANK_FAILED`, `TRAIN_POSITIONS`, and what their communicator throws.
   *   Several ranks do not go on after an error: see `check`.
   */
  async *run(until: number, signal?: AbortSignal): AsyncGenerator<TrainRecord, void, void> {
    this.check();
    try {
      yield* this.#run(until, signal);
    } catch (error) {
      if (this.#team !== undefined) this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  /**
   * Mean loss over the rows of `batch`, without dropout or gradients. Several ranks share the rows; every rank calls it, and gets the
   * mean over all.
   */
  async evaluate(batch: Batch): Promise<number> {
    this.check();
    const { context } = this.model.spec;
    const { evaluationRows = 8 } = this.#options;
    const team = this.#team;
    await team?.begin({ evaluationRows, "the batch of an evaluation": fingerprint(batch.inputs) });
    const share = team?.share(batch, false) ?? wholeOf(batch, context);
    const length = share.inputs.length / share.rows;
    let total = 0;
    for (let row = 0; row < share.rows; row += evaluationRows) {
      const count = Math.min(evaluationRows, share.rows - row);
      const part = (ids: Uint32Array): Uint32Array => ids.subarray(row * length, (row + count) * length);
      const positions = team?.positionsOf(count);
      const loss = this.#engine.noGrad(() => this.#engine.scope(() => this.model.loss(this.model.ids(part(share.inputs), count), this.model.ids(part(share.targets), count), { ...(positions && { positions }) })));
      total += (await loss.item()) * count;
      loss.dispose();
    }
    return team === undefined ? total / share.rows : team.sum(share.rows === 0 ? 0 : (total / share.rows) * share.weight);
  }

  /**
   * Throws where several ranks trained and one failed: weights, moments and counters may then be of different updates.
   *
   * @throws PolyheadError `TRAIN_STOPPED`
   */
  check(): void {
    if (this.#failure === undefined) return;
    throw new PolyheadError("TRAIN_STOPPED", `training of several ranks ended by an error: ${this.#failure.message}`, "make a new trainer, and resume from the last checkpoint");
  }

  /** Weights, moments or counters were replaced from outside: of several ranks, rank 0 gives its own to all before the next update. */
  stateReplaced(): void {
    this.#team?.stateReplaced();
  }

  dispose(): void {
    this.#update.dispose();
    this.#team?.dispose();
    this.optimizer.dispose();
  }

  async *#run(until: number, signal: AbortSignal | undefined): AsyncGenerator<TrainRecord, void, void> {
    const { reportEvery = 1, evaluateEvery = 0, accumulate = 1, validation } = this.#options;
    await this.#team?.begin({ until, reportEvery, evaluateEvery, accumulate, "the validation batch": fingerprint(validation?.inputs ?? []) });
    let waiting: Pending[] = [];
    let since = performance.now();
    while (this.step < until) {
      const batches = await this.#nextBatches(signal?.aborted === true);
      if (batches === undefined) break;
      waiting.push(this.#next(batches, waiting.length));
      const last = this.step === until;
      const evaluation = validation !== undefined && (last || (evaluateEvery > 0 && this.step % evaluateEvery === 0));
      if (!last && !evaluation && waiting.length < reportEvery) continue;
      yield* await this.#report(waiting, since);
      waiting = [];
      if (evaluation) yield { kind: "evaluation", step: this.step, loss: await this.evaluate(validation) };
      since = performance.now();
    }
    if (waiting.length > 0) yield* await this.#report(waiting, since);
  }

  /** The batches of the next update; undefined where it must not be done. */
  async #nextBatches(stop: boolean): Promise<Batch[] | undefined> {
    const { data, accumulate = 1, schedule } = this.#options;
    const read = (): Batch[] => Array.from({ length: accumulate }, (_, micro) => data.batch(this.step * accumulate + micro));
    const team = this.#team;
    if (team === undefined) return stop ? undefined : read();
    let batches: Batch[] | undefined;
    let failure: unknown;
    try {
      batches = read();
    } catch (error) {
      failure = error;
    }
    const stopped = await team.before(this.step, batches, schedule(this.step), stop);
    if (batches === undefined) throw failure;
    return stopped ? undefined : batches;
  }

  #next(batches: readonly Batch[], row: number): Pending {
    const rate = this.#options.schedule(this.step);
    const { context } = this.model.spec;
    this.#update.run(batches.map((batch): Share => this.#team?.share(batch, true) ?? wholeOf(batch, context)), rate, row);
    this.#engine.flush();
    return { step: this.step, rate, tokens: batches.reduce((sum, { inputs }) => sum + inputs.length, 0) };
  }

  async #report(pending: readonly Pending[], since: number): Promise<StepRecord[]> {
    const numbers = await this.#update.measured.read();
    for (const { step } of pending) await this.#team?.after(step);
    const seconds = (performance.now() - since) / 1000;
    const tokensPerSecond = pending.reduce((sum, { tokens }) => sum + tokens, 0) / seconds;
    const each = this.#update.measured.shape[1]!;
    return pending.map(({ step, rate }, i) => {
      const mine = numbers.subarray(i * each, (i + 1) * each);
      const loss = [...mine.subarray(0, -1)].reduce((sum, x) => sum + x, 0) / (each - 1);
      if (!Number.isFinite(loss)) throw new PolyheadError("TRAIN_DIVERGED", `the loss of step ${step} is ${loss}`, "lower the learning rate, lengthen the warm-up, or clip the gradient; resume from the last checkpoint");
      return { kind: "step", step, loss, rate, gradNorm: mine.at(-1)!, tokensPerSecond };
    });
  }
}

/** An update whose numbers are still on the GPU. */
interface Pending {
  readonly step: number;
  readonly rate: number;
  readonly tokens: number;
}
