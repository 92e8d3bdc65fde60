import { llama, type HfConfig } from "@polyhead/model/pretrained";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where reference numbers were made by software with a known fault, and what a model must leave out to be compared with them. */
export interface Quirk {
  /** One line, which stands in the record of every case. */
  readonly what: string;
  /** Keys of the spec. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

/** The development version that computed Llama without its scaling: huggingface/transformers#29143 mended it before the release. */
const WITHOUT_SCALING = "4.38.0.dev0";

/** The quirk of the numbers beside a checkpoint, by the software that its config names. */
export function quirkOf(folder: string): Quirk | undefined {
  const file = join(folder, "config.json");
  if (!existsSync(file)) return undefined;
  const config = JSON.parse(readFileSync(file, "utf8")) as HfConfig;
  if (config["transformers_version"] !== WITHOUT_SCALING || config["model_type"] !== "llama") return undefined;
  const { scaling, ...position } = llama.spec(config)["position"] as Readonly<Record<string, unknown>>;
  if (scaling === undefined) return undefined;
  return { what: `transformers ${WITHOUT_SCALING} computed the reference without the rope_scaling of its config (huggingface/transformers#29143), so it is left out here`, overrides: { position } };
}
