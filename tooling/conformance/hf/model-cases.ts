import type { Safetensors } from "@polyhead/core/safetensors";
import type { Engine } from "@polyhead/tensor";
import { loweringOf } from "../kernels.ts";
import type { CaseRecord } from "../record.ts";
import type { SetOptions } from "../sets/set.ts";
import { greedy } from "./greedy.ts";
import { openModel, type OpenModel } from "./open-model.ts";
import { attentions, hidden, logits, padded } from "./outputs.ts";
import { adamw, gradients, loss } from "./training.ts";
import type { Verdict } from "./verdict.ts";

/** One question to a model. */
export interface ModelCase {
  /** Follows the model's name and a slash. */
  readonly name: string;
  /** Whether the model's reference has an answer. */
  readonly asked: boolean;
  ask(model: OpenModel): Promise<Verdict>;
}

/** What the reference numbers of a model are asked, those that change it last. */
export function goldenCases(golden: Safetensors): ModelCase[] {
  const some = (pattern: RegExp): boolean => golden.names.some((name) => pattern.test(name));
  const cases: readonly (readonly [name: string, asked: RegExp, run: (model: OpenModel, golden: Safetensors) => Promise<Verdict>])[] = [
    ["logits", /^logits$/, logits],
    ["hidden", /^(encoder_hidden_states|decoder_hidden_states|hidden_states|layer_output)\.0$/, hidden],
    ["attentions", /^(encoder_|decoder_|cross_)?attentions\.0$/, attentions],
    ["loss", /^loss$/, loss],
    ["gradients", /^grad\./, gradients],
    ["greedy", /^greedy$/, greedy],
    ["padded", /^padded\.logits$/, padded],
    ["adamw", /^adamw_losses$/, adamw],
  ];
  return cases.map(([name, asked, run]) => ({ name, asked: some(asked), ask: (model) => run(model, golden) }));
}

/** A model of a set. */
export interface ModelFolder {
  readonly set: string;
  readonly name: string;
  readonly path: string;
  /** What it is asked; throws where its reference cannot be read. */
  readonly cases: () => readonly ModelCase[];
}

/** Loads a model once, and asks it everything that is wanted; a model that cannot be loaded fails all of it. */
export async function* modelCases({ set, name, path, cases }: ModelFolder, engine: Engine, { wanted, kernel }: SetOptions): AsyncGenerator<CaseRecord> {
  const blank = (one: Pick<ModelCase, "name">): CaseRecord => ({ set, case: `${name}/${one.name}`, kernel: "-", lowering: {}, maxError: null, pass: false, reason: null });
  let asked: readonly ModelCase[];
  try {
    asked = cases().filter((one) => one.asked && wanted(`${name}/${one.name}`));
  } catch (error) {
    yield { ...blank({ name: "reference" }), reason: String(error) };
    return;
  }
  if (asked.length === 0) return;
  let model: OpenModel;
  try {
    model = await openModel(path, engine, kernel);
  } catch (error) {
    for (const one of asked) yield { ...blank(one), reason: String(error) };
    return;
  }
  const { quirk, model: { plan } } = model;
  const told = { kernel: plan.kernel.name, lowering: { ...loweringOf(plan, engine.gpu.caps), ...(quirk !== undefined && { reference: quirk }) } };
  for (const one of asked) {
    try {
      const { maxError, reason } = await one.ask(model);
      yield { ...blank(one), ...told, maxError, pass: reason === null, reason };
    } catch (error) {
      yield { ...blank(one), ...told, reason: String(error) };
    }
  }
  model.dispose();
}
