import type { Safetensors } from "@polyhead/core/safetensors";
import { generate, type LanguageModel } from "@polyhead/model";
import { idsOf, rowOf } from "./golden.ts";
import { hasEncoder, type OpenModel } from "./open-model.ts";
import type { Verdict } from "./verdict.ts";

/** New tokens that references have; one that is shorter than that continues a prompt of four. */
const CONTINUED = 12;
const SHORT_PROMPT = 4;

/** The likeliest continuation, with replayed steps on a static cache, token for token. */
export async function continues(model: LanguageModel, whole: readonly number[], prompt: number): Promise<string | null> {
  const want = whole.slice(prompt);
  const got: number[] = [];
  for await (const id of generate(model, whole.slice(0, prompt), { tokens: want.length, temperature: 0, replay: true, whenFull: "stop" })) got.push(id);
  const at = want.findIndex((id, i) => id !== got[i]);
  return at < 0 ? null : `token ${prompt + at} is ${got[at] ?? "missing"}, wanted ${want[at]!}`;
}

export async function greedy({ model }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const rows = idsOf(golden, "greedy");
  let reason: string | null = null;
  for (let row = 0; row < rows.batch; row++) {
    const whole = rowOf(rows, row);
    if (hasEncoder(model)) {
      const { engine } = model;
      const memory = engine.noGrad(() => engine.scope(() => model.encode(model.ids(rowOf(idsOf(golden, "input_ids"), row)))));
      const decoder = model.decoder(memory);
      reason ??= whole[0] === model.start ? await continues(decoder, whole, 1) : `the decoder starts from ${model.start}, the reference from ${whole[0]!}`;
      decoder.dispose();
      memory.source.dispose();
    } else {
      reason ??= await continues(model, whole, whole.length > CONTINUED ? whole.length - CONTINUED : SHORT_PROMPT);
    }
  }
  return { maxError: reason === null ? 0 : null, reason };
}
