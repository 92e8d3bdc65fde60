import { readFileSync } from "node:fs";
import { continues } from "./greedy.ts";
import type { ModelCase } from "./model-cases.ts";
import { hasEncoder, type OpenModel } from "./open-model.ts";
import type { Verdict } from "./verdict.ts";

/** A text that a model is known to write, and its ids behind the begin token. */
interface Story {
  readonly text: string;
  readonly ids: readonly number[];
}

/** The known text, token for token, and where the model has a tokenizer, letter for letter. */
export function storyCases(file: string): ModelCase[] {
  const story = JSON.parse(readFileSync(file, "utf8")) as Story;
  return [{ name: "story", asked: true, ask: (model) => written(model, story) }];
}

async function written({ model, tokenizer }: OpenModel, { text, ids }: Story): Promise<Verdict> {
  if (hasEncoder(model)) return { maxError: null, reason: "a story is written by a decoder" };
  let reason = await continues(model, ids, 1);
  if (tokenizer !== undefined) {
    const decoded = tokenizer.decode(ids);
    if (decoded !== text) reason ??= `its ids are ${JSON.stringify(decoded.slice(0, 60))}…, wanted ${JSON.stringify(text.slice(0, 60))}…`;
  }
  return { maxError: reason === null ? 0 : null, reason };
}
