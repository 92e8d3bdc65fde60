import { PolyheadError, type ResolvedSpec } from "@polyhead/core";
import { readSafetensors, writeSafetensors, type Safetensors, type TensorToStore } from "@polyhead/core/safetensors";
import type { TrainableModel } from "@polyhead/model";
import type { Tensor } from "@polyhead/tensor";
import type { Trainer } from "./trainer.ts";

const FORMAT = "polyhead-checkpoint-1";

/** What a checkpoint says beside its tensors. */
export interface CheckpointInfo {
  /** Updates done. */
  readonly step: number;
  /** The model's spec, for `lab.resolve`. */
  readonly spec: ResolvedSpec;
  /** The caller's own: vocabulary, options, anything JSON. */
  readonly extra: unknown;
}

/** A checkpoint as it was read: weights always, optimiser state if it can be resumed. */
export interface Checkpoint {
  readonly info: CheckpointInfo;
  readonly file: Safetensors;
}

/**
 * Everything that the rest of a run depends on, as one safetensors file: weights under their own names, AdamW's moments under
 * `adamw.first.` and `adamw.second.`, and the counters as metadata. Of several ranks any may write it, and it says nothing of their number.
 *
 * @throws PolyheadError `TRAIN_STOPPED` after the training of several ranks has failed: nothing is half an update ahead.
 */
export async function saveCheckpoint(trainer: Trainer, extra: unknown = {}): Promise<Uint8Array> {
  trainer.check();
  const { model, optimizer } = trainer;
  const tensors: Record<string, TensorToStore> = {};
  const store = async (name: string, tensor: Tensor): Promise<void> => {
    tensors[name] = { dtype: "F32", shape: tensor.shape, data: await tensor.read() };
  };
  for (const { name, tensor } of model.parameters.all) await store(name, tensor);
  for (const [i, { name }] of optimizer.parameters.entries()) {
    await store(`adamw.first.${name}`, optimizer.first[i]!);
    await store(`adamw.second.${name}`, optimizer.second[i]!);
  }
  return writeSafetensors(tensors, {
    format: FORMAT,
    step: String(trainer.step),
    seed: String(model.engine.seed),
    random: String(model.engine.randomPosition),
    spec: JSON.stringify(model.spec),
    extra: JSON.stringify(extra),
  });
}

/**
 * Opens a checkpoint's bytes; `label` names it in errors.
 *
 * @throws PolyheadError `SAFETENSORS_*` when the file is cut short or damaged, `CHECKPOINT_FORMAT` when it is something else.
 */
export function openCheckpoint(bytes: Uint8Array, label = "the checkpoint"): Checkpoint {
  const file = readSafetensors(bytes, label);
  const { format, step, spec, extra } = file.metadata;
  if (format !== FORMAT || step === undefined || spec === undefined || extra === undefined) {
    throw new PolyheadError("CHECKPOINT_FORMAT", `${label} says its format is '${format ?? "unknown"}'; expected '${FORMAT}'`, "give a checkpoint that this version of Polyhead wrote");
  }
  return { info: { step: Number(step), spec: JSON.parse(spec) as ResolvedSpec, extra: JSON.parse(extra) as unknown }, file };
}

/**
 * Puts a checkpoint's weights into a model of the same spec. Nothing is changed unless everything fits.
 *
 * @throws PolyheadError `CHECKPOINT_MISMATCH` naming the first tensor that is missing, unknown or of another shape.
 */
export function loadWeights(model: TrainableModel, { file }: Checkpoint): void {
  const targets = new Map(model.parameters.all.map(({ name, tensor }) => [name, tensor]));
  const unknown = file.names.find((name) => !name.startsWith("adamw.") && !targets.has(name));
  if (unknown !== undefined) throw mismatch(`the checkpoint has a tensor '${unknown}', the model has none of that name`);
  write(targets, file);
}

/**
 * Puts a trainer where the checkpoint's trainer was: weights, moments, step and random position. Of several ranks rank 0 must do so, and gives
 * its state to the others. Throws as `loadWeights`.
 */
export function resume(trainer: Trainer, checkpoint: Checkpoint): void {
  const { file } = checkpoint;
  const { model, optimizer } = trainer;
  const { seed, random } = file.metadata;
  if (Number(seed) !== model.engine.seed) {
    throw new PolyheadError("CHECKPOINT_SEED", `the checkpoint was trained with seed ${seed ?? "unknown"}, this run has ${model.engine.seed}`, "give the seed of the first run, or start a new one");
  }
  const targets = new Map<string, Tensor>(model.parameters.all.map(({ name, tensor }) => [name, tensor]));
  optimizer.parameters.forEach(({ name }, i) => {
    targets.set(`adamw.first.${name}`, optimizer.first[i]!);
    targets.set(`adamw.second.${name}`, optimizer.second[i]!);
  });
  const unknown = file.names.find((name) => !targets.has(name));
  if (unknown !== undefined) throw mismatch(`the checkpoint has a tensor '${unknown}', the run has none of that name`);
  write(targets, file);
  optimizer.steps = checkpoint.info.step;
  model.engine.randomPosition = Number(random);
  trainer.stateReplaced();
}

/** Checks all, then writes all. */
function write(targets: ReadonlyMap<string, Tensor>, file: Safetensors): void {
  const plan = [...targets].map(([name, tensor]) => {
    if (!file.has(name)) throw mismatch(`the checkpoint has no tensor '${name}'`);
    const stored = file.get(name);
    if (stored.shape.join() !== tensor.shape.join()) throw mismatch(`tensor '${name}' has shape [${stored.shape.join(", ")}] in the checkpoint and [${tensor.shape.join(", ")}] here`);
    return { tensor, values: stored.floats() };
  });
  for (const { tensor, values } of plan) tensor.engine.upload(tensor, values);
}

const mismatch = (message: string): PolyheadError => new PolyheadError("CHECKPOINT_MISMATCH", message, "build the model from the checkpoint's own spec (checkpoint.info.spec)");
