import { openSafetensors, referenceSets } from "@polyhead/testkit";
import type { Engine } from "@polyhead/tensor";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { goldenCases, modelCases, type ModelCase } from "../hf/model-cases.ts";
import { storyCases } from "../hf/story.ts";
import type { CaseRecord } from "../record.ts";
import type { SetOptions } from "./set.ts";

/** A model in another format than Hugging Face's has its reference in the folder of this name beside it. */
const twin = (path: string): string => `${path}-hf`;

/** Models that others have trained or published. */
export async function* models(data: string, engine: Engine, options: SetOptions): AsyncGenerator<CaseRecord> {
  const folder = join(data, "models");
  for (const name of referenceSets(folder)) {
    const path = join(folder, name);
    yield* modelCases({ set: "models", name, path, cases: () => casesOf(path) }, engine, options);
  }
}

function casesOf(path: string): ModelCase[] {
  const home = existsSync(join(path, "golden.safetensors")) ? path : twin(path);
  const golden = goldenCases(openSafetensors(join(home, "golden.safetensors")));
  const story = join(home, "greedy.json");
  // Gradients have the names of the reference's own checkpoint.
  return [...(home === path ? golden : golden.filter(({ name }) => name !== "gradients")), ...(existsSync(story) ? storyCases(story) : [])];
}
