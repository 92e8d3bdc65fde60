import { PolyheadError } from "@polyhead/core";
import { ExpertBalance, type TrainableModel } from "@polyhead/model";
import type { Engine } from "@polyhead/tensor";
import type { Batch, BatchSource } from "./batches.ts";
import { AdamW, type AdamWOptions } from "./optimizer.ts";
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

  constructor(options: TrainerOptions<M>) {
    this.model = options.model;
    this.optimizer = new AdamW(options.model.parameters, options.optimizer);
    this.#options = options;
    this.#engine = options.model.engine;
    const { model, accumulate = 1, reportEvery = 1, replay = "auto", expertSpeed } = options;
    const balance = expertSpeed === undefined ? {} : { balance: new ExpertBalance(model.parameters, expertSpeed) };
    this.#update = new Update({ model, optimizer: this.optimizer, accumulate, rows: reportEvery, replay, ...balance });
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
   * the state is then as good as at any other step.
   *
   * @throws PolyheadError `TRAIN_DIVERGED` when the loss is no longer a number, `TRAIN_REPLAY` for `replay: true` where it is impossible.
   */
  async *run(until: number, signal?: AbortSignal): AsyncGenerator<TrainRecord, void, void> {
    const { reportEvery = 1, evaluateEvery, validation } = this.#options;
    let waiting: Pending[] = [];
    let since = performance.now();
    while (this.step < until && signal?.aborted !== true) {
      waiting.push(this.#next(waiting.length));
      const last = this.step === until;
      const evaluation = validation !== undefined && (last || (evaluateEvery !== undefined && this.step % evaluateEvery === 0));
      if (!last && !evaluation && waiting.length < reportEvery) continue;
      yield* await this.#report(waiting, since);
      waiting = [];
      if (evaluation) yield { kind: "evaluation", step: this.step, loss: await this.evaluate(validation) };
      since = performance.now();
    }
    if (waiting.length > 0) yield* await this.#report(waiting, since);
  }

  /** Mean loss over the rows of `batch`, without dropout or gradients. */
  async evaluate(batch: Batch): Promise<number> {
    const { context } = this.model.spec;
    const { evaluationRows = 8 } = this.#options;
    const rows = batch.inputs.length / context;
    let total = 0;
    for (let row = 0; row < rows; row += evaluationRows) {
      const count = Math.min(evaluationRows, rows - row);
      const part = (ids: Uint32Array): Uint32Array => ids.subarray(row * context, (row + count) * context);
      const loss = this.#engine.noGrad(() => this.#engine.scope(() => this.model.loss(this.model.ids(part(batch.inputs), count), this.model.ids(part(batch.targets), count))));
      total += (await loss.item()) * count;
      loss.dispose();
    }
    return total / rows;
  }

  dispose(): void {
    this.#update.dispose();
    this.optimizer.dispose();
  }

  #next(row: number): Pending {
    const { data, schedule, accumulate = 1 } = this.#options;
    const rate = schedule(this.step);
    const batches = Array.from({ length: accumulate }, (_, micro) => data.batch(this.step * accumulate + micro));
    this.#update.run(batches, rate, row);
    this.#engine.flush();
    return { step: this.step, rate, tokens: batches.reduce((sum, { inputs }) => sum + inputs.length, 0) };
  }

  async #report(pending: readonly Pending[], since: number): Promise<StepRecord[]> {
    const numbers = await this.#update.measured.read();
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
