import { PolyheadError } from "@polyhead/core";
import { checkOptions, type GenerateBatchOptions, type GenerateOptions, type StopReason } from "./generate-options.ts";
import { generateRows } from "./generate-rows.ts";
import type { LanguageModel } from "./language-model.ts";

/** An id that a row of a batch chose. */
export interface BatchToken {
  /** Place of its prompt. */
  readonly row: number;
  readonly id: number;
  /** Counts the ids of the row. */
  readonly index: number;
}

/**
 * Continues several prompts at once, of any lengths: the shorter are padded on the left, and every row stops by itself. Row r gives the
 * ids that `generate` gives for its prompt alone with `stream: stream + r`, as far as rounding lets them: greedy ones need no stream.
 * All rows end when the longest has filled the context.
 *
 * @returns why each row ended
 * @throws PolyheadError `MODEL_PROMPT` for an empty prompt, `MODEL_CONTEXT` for one that is longer than the context, `CONFIG_RANGE` for
 * impossible options, `MODEL_LOGITS` naming step and row where logits are no numbers, `MODEL_REPLAY` where replay is insisted on and
 * impossible.
 */
export function generateBatch(model: LanguageModel, prompts: readonly (readonly number[])[], options: GenerateBatchOptions): AsyncGenerator<BatchToken, readonly StopReason[], void> {
  return endingRows(model, prompts, { ...options, whenFull: "stop" });
}

/** Says why a row ends with this token, if it does; `isStop` where it is a stop id. */
export type EndOfRow = (token: BatchToken, isStop: boolean) => StopReason | undefined;

const atStopIds: EndOfRow = (_, isStop) => (isStop ? "stop-id" : undefined);

/** `generateBatch` for a caller who says where rows end: `ends` is asked about every token before it is given. */
export async function* endingRows(
  model: LanguageModel,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
  ends: EndOfRow = atStopIds,
): AsyncGenerator<BatchToken, readonly StopReason[], void> {
  const { vocab } = model.spec;
  const checked = checkOptions(options, vocab);
  const reasons = new Array<StopReason | undefined>(prompts.length).fill(undefined);
  const steps = generateRows(model, prompts, checked);
  try {
    for (let index = 0; index === 0 || reasons.includes(undefined); index++) {
      const { done, value } = await steps.next();
      if (done === true) return reasons.map((reason) => reason ?? value);
      for (let row = 0; row < prompts.length; row++) {
        if (reasons[row] !== undefined) continue;
        const token = { row, id: value[row]!, index };
        if (token.id >= vocab) throw notChosen(token, prompts[row]!.length);
        reasons[row] = ends(token, checked.stops.has(token.id));
        yield token;
      }
    }
    return reasons as StopReason[];
  } finally {
    await steps.return("aborted");
  }
}

function notChosen({ row, index }: BatchToken, prompt: number): PolyheadError {
  return new PolyheadError("MODEL_LOGITS", `no token can be chosen at step ${index} of row ${row}, after ${prompt + index} tokens: its logits hold NaN or +∞, or nothing but −∞`, "look for NaN or infinities in the weights, or run the step within engine.detectAnomaly()");
}
