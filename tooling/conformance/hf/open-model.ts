import { createLab } from "@polyhead/core";
import type { DecoderModel, EncoderDecoderModel } from "@polyhead/model";
import { loadPretrained } from "@polyhead/model/node";
import type { Pretrained } from "@polyhead/model/pretrained";
import { transformers } from "@polyhead/presets";
import type { Engine } from "@polyhead/tensor";
import { AttentionProbe } from "./probe.ts";
import { quirkOf } from "./reference-quirks.ts";

/** What checkpoints with reference numbers hold. */
export type AnyModel = DecoderModel | EncoderDecoderModel;

export const hasEncoder = (model: AnyModel): model is EncoderDecoderModel => "encode" in model;

export interface OpenModel extends Pretrained<AnyModel> {
  readonly probe: AttentionProbe;
  /** What is left out because the reference left it out. */
  readonly quirk?: string;
}

/** Loads a folder as any user would, on kernels that a probe listens to. */
export async function openModel(folder: string, engine: Engine, kernel: string | undefined): Promise<OpenModel> {
  const probe = new AttentionProbe();
  const lab = createLab(...probe.plugins(transformers));
  const quirk = quirkOf(folder);
  const loaded = await loadPretrained(lab, engine, folder, { overrides: { ...quirk?.overrides, ...(kernel !== undefined && { kernel }) } });
  return { ...loaded, model: loaded.model as AnyModel, probe, ...(quirk && { quirk: quirk.what }) };
}
