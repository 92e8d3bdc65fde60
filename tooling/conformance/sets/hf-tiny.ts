import { openSafetensors, referenceSets } from "@polyhead/testkit";
import type { Engine } from "@polyhead/tensor";
import { join } from "node:path";
import { goldenCases, modelCases } from "../hf/model-cases.ts";
import type { CaseRecord } from "../record.ts";
import type { SetOptions } from "./set.ts";

/** Small models of every family in Hugging Face's layout: what they compute, what they learn, and what they write. */
export async function* hfTiny(data: string, engine: Engine, options: SetOptions): AsyncGenerator<CaseRecord> {
  const folder = join(data, "hf-tiny");
  for (const name of referenceSets(folder)) {
    const path = join(folder, name);
    yield* modelCases({ set: "hf-tiny", name, path, cases: () => goldenCases(openSafetensors(join(path, "golden.safetensors"))) }, engine, options);
  }
}
