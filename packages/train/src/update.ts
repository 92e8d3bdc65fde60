import { PolyheadError } from "@polyhead/core";
import type { ExpertBalance, TrainableModel } from "@polyhead/model";
import { checkIds, concat, scale, type Engine, type RecordedStep, type Tensor } from "@polyhead/tensor";
import type { AdamW } from "./optimizer.ts";
import type { Share } from "./parallel/share.ts";
import type { Team } from "./parallel/team.ts";

/** Whether updates are replayed: `auto` does so where it can, `true` insists, `false` never does. */
export type ReplayMode = boolean | "auto";

export interface UpdateOptions {
  readonly model: TrainableModel;
  readonly optimizer: AdamW;
  /** Of experts, after the optimiser's step. */
  readonly balance?: ExpertBalance;
  /** Micro-batches an update. */
  readonly accumulate: number;
  /** Updates whose numbers are kept until they are read. */
  readonly rows: number;
  readonly replay: ReplayMode;
  /** Where several ranks do the update together. */
  readonly team?: Team;
}

/** How updates run at the moment. */
export interface ReplayState {
  readonly replaying: boolean;
  /** Why, in a sentence. */
  readonly reason: string;
}

/** A batch's tokens on the device, in memory that stays the same from replay to replay. */
interface Place extends Pick<Share, "rows" | "weight"> {
  readonly inputs: Tensor;
  readonly targets: Tensor;
}

/** An update as it was recorded. */
interface Recorded {
  readonly step: RecordedStep<void>;
  readonly places: readonly Place[];
  readonly shape: string;
}

/**
 * Forward, backward and optimiser of one update. The first runs as usual, the second is recorded, and from the third on
 * the recording is replayed, with no JavaScript for the operators and the same bits. An update whose batch has another
 * shape runs as usual.
 */
export class Update {
  /** Losses of the micro-batches and the gradient norm, a row an update: f32 `[rows, accumulate + 1]`. */
  readonly measured: Tensor;
  readonly #options: UpdateOptions;
  readonly #engine: Engine;
  #recorded: Recorded | undefined;
  #lastShape: string | undefined;
  #refused: string | undefined;
  #state: ReplayState = { replaying: false, reason: "no update has been done yet" };
  // What changes from update to update, read by the recorded dispatches.
  #rateNow = 0;
  #rowNow = 0;

  constructor(options: UpdateOptions) {
    this.#options = options;
    this.#engine = options.model.engine;
    this.measured = this.#engine.keep(this.#engine.zeros([options.rows, options.accumulate + 1]));
    if (options.replay === false) this.#refused = "replay was turned off";
    else if (options.team !== undefined) this.#refused = "the gradients go to other ranks by way of the host, which a replay knows nothing of (GPU_REPLAY)";
  }

  get state(): ReplayState {
    return this.#state;
  }

  /**
   * Does one update, and leaves its numbers in row `row` of `measured`.
   *
   * @throws GpuError `GPU_REPLAY` or PolyheadError `TRAIN_REPLAY` where replay was insisted on and is impossible.
   */
  run(batches: readonly Share[], rate: number, row: number): void {
    this.#rateNow = rate;
    this.#rowNow = row;
    const shape = batches.map(({ inputs }) => inputs.length).join();
    const settled = shape === this.#lastShape;
    this.#lastShape = shape;
    const obstacle = this.#obstacle(shape);
    if (obstacle !== undefined) {
      if (this.#options.replay === true) throw new PolyheadError("TRAIN_REPLAY", `this update cannot be replayed: ${obstacle}`, "use replay: 'auto', which runs such updates as usual");
      this.#eager(batches, obstacle);
    } else if (this.#recorded !== undefined) {
      this.#replay(this.#recorded, batches);
    } else if (settled) {
      this.#record(batches, shape);
    } else {
      this.#eager(batches, "the first update of a shape runs as usual, the second is recorded");
    }
  }

  dispose(): void {
    this.#drop();
    this.#options.balance?.dispose();
    this.measured.dispose();
  }

  /** Why the update at hand must run as usual, though the others may be replayed. */
  #obstacle(shape: string): string | undefined {
    if (this.#refused !== undefined) return this.#refused;
    if (this.#engine.gpu.profiling) return "a profile runs";
    if (this.#options.optimizer.parameters.some(({ tensor }) => tensor.grad !== undefined)) return "a parameter holds a gradient from elsewhere, which this update takes in";
    if (this.#recorded !== undefined && this.#recorded.shape !== shape) return `its batches hold ${shape} tokens; the recorded one holds ${this.#recorded.shape}`;
    return undefined;
  }

  #eager(batches: readonly Share[], reason: string): void {
    this.#state = { replaying: false, reason };
    const lane = this.#options.team?.lane ?? 0;
    this.#engine.randomPosition += lane;
    try {
      this.#engine.scope(() => { this.#work(batches.map((batch) => this.#placeOf(batch))); });
    } finally {
      this.#engine.randomPosition -= lane;
    }
  }

  #placeOf({ inputs, targets, rows, weight }: Share): Place {
    const { model } = this.#options;
    return { inputs: model.ids(inputs, rows), targets: model.ids(targets, rows), rows, weight };
  }

  #record(batches: readonly Share[], shape: string): void {
    const { optimizer } = this.#options;
    const places = batches.map((batch) => this.#placeOf(batch));
    for (const { inputs, targets } of places) for (const tensor of [inputs, targets]) this.#engine.keep(tensor);
    const { steps } = optimizer;
    const { randomPosition } = this.#engine;
    try {
      const step = this.#engine.record(() => { this.#work(places); });
      this.#recorded = { step, places, shape };
      this.#state = { replaying: true, reason: `an update of ${step.recording.dispatches} dispatches is recorded` };
    } catch (error) {
      for (const { inputs, targets } of places) for (const tensor of [inputs, targets]) tensor.dispose();
      // Until the optimiser has begun, nothing has changed that cannot be put back.
      if (this.#options.replay !== "auto" || !isReplayError(error) || optimizer.steps !== steps) throw error;
      this.#engine.randomPosition = randomPosition;
      for (const { tensor } of optimizer.parameters) tensor.zeroGrad();
      this.#refused = error.message;
      this.#eager(batches, error.message);
    }
  }

  #replay({ step, places }: Recorded, batches: readonly Share[]): void {
    const { model, optimizer } = this.#options;
    for (const { inputs, targets } of batches) for (const ids of [inputs, targets]) checkIds(ids, model.spec.vocab);
    batches.forEach(({ inputs, targets }, micro) => {
      this.#engine.upload(places[micro]!.inputs, inputs);
      this.#engine.upload(places[micro]!.targets, targets);
    });
    optimizer.steps++;
    try {
      step.replay();
    } catch (error) {
      optimizer.steps--; // it has not run
      throw error;
    }
    this.#state = { replaying: true, reason: `an update of ${step.recording.dispatches} dispatches is replayed` };
  }

  #work(places: readonly Place[]): void {
    const { model, optimizer, balance, accumulate, team } = this.#options;
    const engine = this.#engine;
    const losses = places.map(({ inputs, targets, rows, weight }, micro) =>
      engine.scope(() => {
        const positions = team?.positionsOf(rows);
        const loss = model.loss(inputs, targets, { training: true, ...(balance && { observeRouting: balance.observe }), ...(positions && { positions }) });
        const seed = engine.full(loss.shape, weight / accumulate);
        // The gradients are final with the last micro-batch alone.
        if (team === undefined || micro < places.length - 1) loss.backward(seed);
        else {
          team.exchange.begin();
          loss.backward(seed, { onGradient: team.exchange.ready });
        }
        const measured = loss.detach().reshape([1]);
        return weight === 1 ? measured : engine.noGrad(() => scale(measured, weight));
      }),
    );
    team?.exchange.finish([...losses, ...(balance?.loads ?? [])]);
    const norm = optimizer.step(live(() => this.#rateNow));
    balance?.step();
    engine.noGrad(() => { engine.assignRow(this.measured, live(() => this.#rowNow), concat([...losses, norm.reshape([1])], 0)); });
  }

  #drop(): void {
    const recorded = this.#recorded;
    if (recorded === undefined) return;
    this.#recorded = undefined;
    recorded.step.dispose();
    for (const { inputs, targets } of recorded.places) for (const tensor of [inputs, targets]) tensor.dispose();
  }
}

const live = (of: () => number): { readonly value: number } => ({ get value() { return of(); } });

/** By code: two copies of the GPU package may live in one tree. */
function isReplayError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "GPU_REPLAY";
}
