import { formula, PolyheadError, type KvCache } from "@polyhead/core";
import { map, type Engine, type RecordedStep, type Tensor } from "@polyhead/tensor";
import type { LanguageModel } from "./language-model.ts";

/** Whether decode steps are replayed: `auto` does so where it can, `true` insists, `false` never does. */
export type DecodeReplay = boolean | "auto";

/** A number that every replay reads anew. */
export interface Live {
  readonly value: number;
}

export interface DecodeStepOptions {
  /** From `createCache`; only static ones can be replayed. Their batch is that of the step. */
  readonly cache: readonly KvCache<Tensor>[];
  /**
   * The next ids, u32 `[B]`, of the logits f32 `[B, vocab]`. `step` counts the steps and is live: a stream for random
   * draws.
   */
  readonly choose: (logits: Tensor, step: Live) => Tensor;
  /** First key row that each sequence may see, i32 `[B]` (left padding); its positions then start there. */
  readonly starts?: Tensor;
  /** Default `auto`. */
  readonly replay?: DecodeReplay;
}

const afterPadding = formula({ position: "i32", start: "i32" })`max(position - start, 0)`;

/**
 * One token more for every sequence of a batch. The token stays on the device: what one step chooses, the next one reads. On a
 * static cache the first step is recorded, and the others replay it with no JavaScript for the operators, to the same bits.
 */
export class DecodeStep {
  /** What the next step reads and then replaces: u32 `[B, 1]`. */
  readonly ids: Tensor;
  readonly #model: LanguageModel;
  readonly #engine: Engine;
  readonly #options: DecodeStepOptions;
  readonly #step: Live;
  #recorded: RecordedStep<void> | undefined;
  #obstacle: string | undefined;
  #now = 0;

  /** @throws PolyheadError `MODEL_REPLAY` where replay is insisted on and the cache does not allow it. */
  constructor(model: LanguageModel, options: DecodeStepOptions) {
    this.#model = model;
    this.#engine = model.engine;
    this.#options = options;
    const now = (): number => this.#now;
    this.#step = { get value() { return now(); } };
    const { cache, replay = "auto" } = options;
    const batch = cache[0]?.batch ?? 1;
    this.#obstacle = replay === false ? "replay was turned off" : unfit(cache);
    if (replay === true && this.#obstacle !== undefined) throw insisted(this.#obstacle);
    this.ids = this.#engine.keep(this.#engine.zeros([batch, 1], "u32"));
  }

  /** Why steps run as usual; undefined where they are replayed. */
  get obstacle(): string | undefined {
    return this.#obstacle;
  }

  /** Chooses the first ids, from logits f32 `[B, 1, vocab]` of a prompt. */
  start(logits: Tensor, step: number): void {
    this.#now = step;
    this.#engine.noGrad(() => { this.#engine.scope(() => { this.#choose(logits); }); });
  }

  /**
   * Feeds `ids` to the model and replaces them by what comes next.
   *
   * @param step  number of this step, for `choose`
   * @throws PolyheadError `MODEL_CONTEXT` and what the caches throw when they are full; nothing has changed then.
   */
  next(step: number): void {
    this.#now = step;
    const { cache, replay = "auto" } = this.#options;
    if (this.#obstacle !== undefined) {
      this.#eager();
    } else if (this.#engine.gpu.profiling) {
      if (replay === true) throw insisted("a profile runs");
      this.#eager();
    } else if (this.#recorded === undefined) {
      this.#record();
    } else {
      this.#model.checkRoom(1, cache);
      for (const layer of cache) layer.reserve(1);
      this.#recorded.replay();
      for (const layer of cache) layer.advance(1);
    }
  }

  dispose(): void {
    this.#recorded?.dispose();
    this.#recorded = undefined;
    this.ids.dispose();
  }

  #eager(): void {
    this.#engine.scope(() => { this.#work(); });
  }

  #record(): void {
    const { cache, replay = "auto" } = this.#options;
    this.#model.checkRoom(1, cache);
    // Making room is no part of the step.
    for (const layer of cache) layer.reserve(1);
    const lengths = cache.map(({ length }) => length);
    try {
      this.#recorded = this.#engine.record(() => { this.#work(); });
    } catch (error) {
      if (replay === true || !isReplayError(error)) throw error;
      this.#obstacle = error.message;
      cache.forEach((layer, i) => { layer.truncate(lengths[i]!); });
      this.#eager();
    }
  }

  #work(): void {
    const { cache, starts } = this.#options;
    const engine = this.#engine;
    engine.noGrad(() => {
      const padding = starts && { starts, positions: map(afterPadding, { position: cache[0]!.position, start: starts }).reshape([starts.size, 1]) };
      this.#choose(this.#model.logits(this.ids, { cache, ...padding }));
    });
  }

  #choose(logits: Tensor): void {
    const [batch, vocab] = [this.ids.size, this.#model.spec.vocab];
    const chosen = this.#options.choose(logits.reshape([batch, vocab]), this.#step);
    this.#engine.assign(this.ids, chosen.reshape([batch, 1]));
  }
}

/** Why steps on these caches cannot be replayed. */
function unfit(cache: readonly KvCache<Tensor>[]): string | undefined {
  if (cache.length === 0) return "no layer has a cache";
  const other = cache.find(({ position }) => typeof position === "number");
  return other && `a ${other.kind} cache changes its shape from step to step; a static one does not`;
}

const insisted = (why: string): PolyheadError => new PolyheadError("MODEL_REPLAY", `this decode step cannot be replayed: ${why}`, "make the cache with kind 'static', or use replay: 'auto', which runs such steps as usual");

/** By code: two copies of the GPU package may live in one tree. */
function isReplayError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "GPU_REPLAY";
}
