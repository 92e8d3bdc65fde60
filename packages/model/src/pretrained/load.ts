import { type Lab, type ModelOf, type Plugin, PolyheadError, type ResolvedSpec } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import type { Parameters } from "../parameters.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { chatTemplateOf, type ChatTemplate } from "./chat-template.ts";
import { checkSizes } from "./check-sizes.ts";
import { openCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { FAMILIES } from "./families/index.ts";
import type { Family, HfConfig, WeightMap } from "./family.ts";
import { fill, type FillOptions, type NonFinite } from "./fill.ts";
import { generationDefaults, type GenerationDefaults } from "./generation-defaults.ts";
import { hubSource, type HubOptions } from "./hub-source.ts";
import { llama2c } from "./llama2c.ts";
import { checkCopies, checkMatching, matchTensors, some, type Matching } from "./match.ts";
import type { FileSource } from "./source.ts";
import { createTokenizer } from "./tokenizer.ts";

export interface LoadOptions extends FillOptions {
  /** Storage of weight matrices on the device; default f32. */
  readonly dtype?: "f32" | "f16";
  /** Keys of the spec that stand in place of those of the config, such as `kernel` or a shorter `context`. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** Families to choose from, before the built-in ones. */
  readonly families?: readonly Family[];
  /** Takes a checkpoint with tensors that the model does not use. Default false. */
  readonly allowUnused?: boolean;
  /** Takes a checkpoint that lacks tensors; what they would have filled is drawn at random. Default false. */
  readonly allowMissing?: boolean;
  /** Takes weights that are NaN or infinite. Default false. */
  readonly allowNonFinite?: boolean;
  /** How the hub is reached, where the source is an id. */
  readonly hub?: HubOptions;
}

/** What was found in the files, beside what was asked for. */
export interface LoadReport {
  /** Tensors of the files that the model does not use. */
  readonly unused: readonly string[];
  /** Tensors that the files lack. */
  readonly missing: readonly string[];
  readonly nonFinite: readonly NonFinite[];
  /** Of parameters on the device. */
  readonly bytes: number;
}

/** A model with the weights of a checkpoint, and what came with it. */
export interface Pretrained<M> {
  readonly model: M;
  readonly spec: ResolvedSpec;
  readonly config: HfConfig;
  readonly family: Family;
  readonly tokenizer?: Tokenizer;
  readonly chatTemplate?: ChatTemplate;
  readonly generation: GenerationDefaults;
  readonly report: LoadReport;
  /** Frees the model's memory. */
  readonly dispose: () => void;
}

/** What a model must have to be filled. */
interface Fillable {
  readonly parameters: Pick<Parameters, "all">;
  dispose(): void;
}

function fillable(model: unknown, { architecture }: ResolvedSpec): Fillable {
  if (typeof model === "object" && model !== null && "parameters" in model && "dispose" in model) return model as Fillable;
  throw new PolyheadError("PRETRAINED_MODEL", `the architecture '${architecture}' builds models without 'parameters' and 'dispose', which nothing can fill`, "use an architecture of @polyhead/model, or give yours both");
}

/**
 * The family of a config.
 *
 * @param more  families to look through before the built-in ones
 * @throws PolyheadError `PRETRAINED_FAMILY_UNKNOWN` naming the known ones.
 */
export function familyOf(config: HfConfig, more: readonly Family[] = []): Family {
  const all = [...more, ...FAMILIES, llama2c];
  const { model_type: type } = config;
  const family = all.find(({ modelTypes }) => modelTypes.some((one) => one === type));
  if (family !== undefined) return family;
  const known = [...new Set(all.flatMap(({ modelTypes }) => modelTypes))].sort().join(", ");
  throw new PolyheadError("PRETRAINED_FAMILY_UNKNOWN", `config.json says that its model_type is ${type === undefined ? "nothing" : JSON.stringify(type)}; known are ${known}`, "choose such a model, or give a family of your own: loadPretrained(lab, engine, source, { families: [yours] })");
}

/** Everything that can be known without the device. */
interface Prepared {
  readonly spec: ResolvedSpec;
  readonly family: Family;
  readonly weights: WeightMap;
  readonly matching: Matching;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
}

async function prepare(lab: Pick<Lab, "resolve">, { config, store, tokenizer: files, chatTemplate }: Checkpoint, options: LoadOptions): Promise<Prepared> {
  const family = familyOf(config, options.families);
  const spec = lab.resolve({ ...family.spec(config), ...options.overrides });
  checkSizes(spec, store);
  const weights = family.weights(spec, config);
  const matching = matchTensors(store, family, weights, config);
  checkMatching(matching, store.label, options);
  const tokenizer = files && createTokenizer(files.json, files.config);
  if (tokenizer !== undefined && tokenizer.vocabSize > spec.vocab) {
    throw new PolyheadError("PRETRAINED_TOKENIZER", `the tokenizer gives ids up to ${tokenizer.vocabSize - 1}, the model has a vocabulary of ${spec.vocab}`, "use the tokenizer that came with the model");
  }
  await checkCopies(store, matching);
  return { spec, family, weights, matching, tokenizer, chatTemplate: chatTemplateOf(files?.config ?? {}, chatTemplate) };
}

/**
 * Loads a model: reads and checks the config, the headers of all weights and the tokenizer, and only then allocates and fills the
 * model's parameters, one at a time. After an error nothing stays on the device.
 *
 * The tokenizer may give fewer ids than the model has rows in its table, which is often padded, but not more.
 *
 * @param source  files, or an id of the Hugging Face hub; `@polyhead/model/node` takes folders too
 * @throws PolyheadError `PRETRAINED_FAMILY_UNKNOWN`, `PRETRAINED_CONFIG` (a value that we do not compute), `PRETRAINED_TENSORS` (missing
 * and unused tensors), `PRETRAINED_SHAPE`, `PRETRAINED_DTYPE`, `PRETRAINED_TIED`, `PRETRAINED_NONFINITE`, `PRETRAINED_CONTEXT`, `PRETRAINED_TOKENIZER`,
 * `CHAT_TEMPLATE`; what `openCheckpoint` and `lab.resolve` throw (`LAB_UNKNOWN` names a plugin that the lab lacks); what the device throws.
 */
export async function loadPretrained<P extends readonly Plugin[]>(lab: Lab<P>, engine: Engine, source: FileSource | string, options: LoadOptions = {}): Promise<Pretrained<ModelOf<P>>> {
  const { dtype = "f32", allowMissing = false, allowNonFinite = false } = options;
  const checkpoint = await openCheckpoint(typeof source === "string" ? hubSource(source, options.hub) : source);
  const { config, store, generationConfig = {} } = checkpoint;
  const { spec, family, weights, matching, tokenizer, chatTemplate } = await prepare(lab, checkpoint, options);
  const { found, missing, unused } = matching;
  const kept = new Set([...weights].filter(([, recipe]) => recipe.some(({ tensor }) => !found.has(tensor))).map(([name]) => name));

  // The lab's own type of engine is read off its plugins, which are unknown here.
  const model = lab.build(spec, engine as never, { empty: !(allowMissing && kept.size > 0), dtype });
  const target = fillable(model, spec);
  try {
    const nonFinite = await fill(target.parameters.all, weights, { store, found, kept }, options);
    if (nonFinite.length > 0 && !allowNonFinite) {
      const listed = some(nonFinite.map(({ tensor, count }) => `${tensor} (${count})`));
      throw new PolyheadError("PRETRAINED_NONFINITE", `weights of ${store.label} are NaN, infinite${dtype === "f16" ? " or beyond the range of f16" : ""}: ${listed}`, "download the weights again; allowNonFinite takes them as they are");
    }
    const bytes = target.parameters.all.reduce((sum, { tensor }) => sum + tensor.size * (tensor.dtype === "f16" ? 2 : 4), 0);
    return {
      model, spec, config, family,
      ...(tokenizer !== undefined && { tokenizer }),
      ...(chatTemplate !== undefined && { chatTemplate }),
      generation: generationDefaults(spec.vocab, generationConfig, config),
      report: { unused, missing, nonFinite, bytes },
      dispose: () => { target.dispose(); },
    };
  } catch (error) {
    target.dispose();
    throw error;
  }
}
