import type { Safetensors } from "@polyhead/core/safetensors";
import type { ForwardOptions, Observation } from "@polyhead/model";
import type { Engine, Tensor } from "@polyhead/tensor";
import { idsOf, limitsOf, type Limits } from "./golden.ts";
import { hasEncoder, type AnyModel } from "./open-model.ts";

/** Who listens to a pass: to each stack, where there are two. */
export interface Listeners {
  readonly encoder?: (event: Observation) => void;
  readonly decoder?: (event: Observation) => void;
}

/** The reference batch of a model, in the two ways in which it is read. */
export interface Passage {
  /** Logits `[B, T, vocab]`; with `padded` the batch is masked as `padded.*` says. */
  logits(padded: boolean, listeners?: Listeners): Tensor;
  /** Mean cross-entropy of the next token, or of the labels that the batch has. */
  loss(observeRouting?: ForwardOptions["observeRouting"]): Tensor;
}

const i32 = (engine: Engine, numbers: readonly number[]): Tensor => engine.tensor(numbers, [numbers.length], { dtype: "i32" });

/** Limits as a model takes them: those that cut nothing off are left out. */
function padding(engine: Engine, { starts, ends }: Limits, tokens: number): { readonly starts?: Tensor; readonly lengths?: Tensor } {
  return {
    ...(starts.some((start) => start > 0) && { starts: i32(engine, starts) }),
    ...(ends.some((end) => end < tokens) && { lengths: i32(engine, ends) }),
  };
}

/** Tensors that a passage makes live in the caller's scope. */
export function passageOf(model: AnyModel, golden: Safetensors): Passage {
  const { engine } = model;
  const { ids, batch, tokens } = idsOf(golden, "input_ids");
  const input = (): Tensor => model.ids(ids, batch);
  const masked = (): { readonly starts?: Tensor; readonly lengths?: Tensor; readonly positions?: Tensor } => ({
    ...padding(engine, limitsOf(golden, "padded.attention_mask"), tokens),
    ...(golden.has("padded.position_ids") && { positions: engine.tensor(golden.get("padded.position_ids").numbers(), [batch, tokens], { dtype: "u32" }) }),
  });
  const heard = (observe: ((event: Observation) => void) | undefined): { readonly observe?: (event: Observation) => void } => (observe ? { observe } : {});
  if (hasEncoder(model)) {
    const written = idsOf(golden, "decoder_input_ids");
    const labels = idsOf(golden, "labels");
    return {
      logits: (padded, { encoder, decoder } = {}) => model.logits(model.encode(input(), { ...(padded && masked()), ...heard(encoder) }), model.ids(written.ids, written.batch), heard(decoder)),
      loss: () => model.loss(input(), model.targets(labels.ids, labels.batch), { inputs: model.ids(written.ids, written.batch) }),
    };
  }
  // The last token of a row has no next one.
  const targets = ids.map((_, at) => (at % tokens === tokens - 1 ? -100 : ids[at + 1]!));
  return {
    logits: (padded, { decoder } = {}) => model.logits(input(), { ...(padded && masked()), ...heard(decoder) }),
    loss: (observeRouting) => model.loss(input(), engine.tensor(targets, [batch, tokens], { dtype: "i32" }), observeRouting ? { observeRouting } : {}),
  };
}
