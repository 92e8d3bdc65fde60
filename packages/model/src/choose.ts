import { likeliest, markSeen, multinomial, penaliseSeen, samplingWeights, type Engine, type Tensor } from "@polyhead/tensor";
import type { Live } from "./decode-step.ts";
import type { ChoiceOptions } from "./generate-options.ts";

/** No id: marks nothing as seen. */
const PADDING = 0xffffffff;

interface ChooserOptions extends ChoiceOptions {
  readonly prompts: readonly (readonly number[])[];
  readonly vocab: number;
}

/**
 * Chooses an id for every row of a batch from logits, on the device. With a repetition penalty it keeps a table of the ids that each
 * row has met, so that a choice may be recorded and replayed.
 */
export class Chooser {
  readonly #options: ChooserOptions;
  readonly #seed: number;
  /** u32 [B, vocab]. */
  readonly #seen: Tensor | undefined;

  constructor(engine: Engine, options: ChooserOptions) {
    const { prompts, vocab, repetitionPenalty = 1, seed = engine.seed } = options;
    this.#options = options;
    this.#seed = seed;
    if (repetitionPenalty === 1) return;
    const seen = (this.#seen = engine.keep(engine.zeros([prompts.length, vocab], "u32")));
    const longest = Math.max(...prompts.map(({ length }) => length));
    const padded = prompts.flatMap((ids) => [...ids, ...new Array<number>(longest - ids.length).fill(PADDING)]);
    engine.scope(() => { markSeen(seen, engine.tensor(padded, [prompts.length, longest], { dtype: "u32" })); });
  }

  /**
   * @param logits  f32 [B, vocab]
   * @param step  counts the ids of a row; a number of the Philox counter
   * @returns u32 [B]; 0xffffffff where nothing can be chosen
   */
  readonly choose = (logits: Tensor, step: Live): Tensor => {
    const { temperature = 1, topK, topP, minP, repetitionPenalty = 1, stream = 0 } = this.#options;
    const open = this.#seen === undefined ? logits : penaliseSeen(logits, this.#seen, repetitionPenalty);
    const cuts = { temperature, ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }), ...(minP !== undefined && { minP }) };
    const ids = temperature === 0 ? likeliest(open) : multinomial(samplingWeights(open, cuts), { seed: this.#seed, stream: step, firstRow: stream });
    if (this.#seen !== undefined) markSeen(this.#seen, ids);
    return ids;
  };

  dispose(): void {
    this.#seen?.dispose();
  }
}
