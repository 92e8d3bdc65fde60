import { mha, reference } from "@polyhead/attn-mha";
import { localCommunicators } from "@polyhead/comm-local";
import { createLab, defineKernelPlugin, window as maskWindow, type CommunicatorOptions } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder, type DecoderModel } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { learned } from "@polyhead/pos-absolute";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { afterAll } from "vitest";
import { arrangeRanks, consecutiveWindows, randomWindows, saveCheckpoint, openCheckpoint, Trainer, warmupCosine, type ParallelOptions, type Ranks, type TrainerOptions, type TrainRecord } from "../src/index.ts";

/** One device a rank: a rank that waits for another keeps its own commands waiting. */
export const gpus: readonly Gpu[] = await Promise.all(Array.from({ length: 4 }, () => openNodeGpu({ limits: "default", features: "none", poison: true })));
afterAll(() => { for (const gpu of gpus) gpu.dispose(); });

const lab = createLab(mha, rope, learned, rms, tied, reference, decoder);
/** Takes itself for one that spans two ranks; where tokens see themselves alone, it does. */
const spanning = createLab(mha, rope, learned, rms, tied, defineKernelPlugin({ ...reference, name: "spanning", ranks: 2 }), decoder);
export const tokens: Uint32Array = Uint32Array.from({ length: 500 }, (_, i) => (i * i + 3 * i) % 13);

export interface RankOptions extends Partial<Omit<TrainerOptions<DecoderModel>, "parallel" | "model">> {
  readonly parallel?: Omit<ParallelOptions, "ranks">;
  readonly dropout?: number;
  readonly seed?: number;
  readonly experts?: boolean;
  /** Tokens that see themselves alone, and know their places: then ranks may share windows without a kernel that spans them. */
  readonly alone?: boolean;
  /** A kernel that knows its own rows only, or one that says it spans two ranks. Default: the latter where tokens are alone. */
  readonly kernel?: "reference" | "spanning";
}

export function modelOn(gpu: Gpu, { dropout = 0, seed = 3, experts = false, alone = false, kernel = alone ? "spanning" : "reference" }: RankOptions = {}): DecoderModel {
  return (kernel === "spanning" ? spanning : lab).model({
    layers: 2, width: 16, vocab: 13, context: 8, dropout,
    attention: { use: "mha", heads: 2 }, position: alone ? { use: "learned" } : { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" }, feedForward: { use: "swiglu" },
    ...(alone && { mask: maskWindow(0) }),
    ...(experts && { order: "smsm", experts: { routed: 4, active: 2, width: 8, correction: true } }),
  }, createEngine(gpu, { seed }));
}

/** A trainer of one rank. Without `ranks` it is by itself. */
export function trainerOn(gpu: Gpu, options: RankOptions = {}, ranks?: Ranks): Trainer<DecoderModel> {
  const { parallel, dropout: _dropout, seed: _seed, experts: _experts, alone: _alone, kernel: _kernel, ...more } = options;
  return new Trainer({
    model: modelOn(gpu, options),
    data: randomWindows(tokens, { batch: 4, context: 8, seed: 3 }),
    validation: consecutiveWindows(tokens, 8, 7),
    evaluationRows: 2,
    schedule: warmupCosine({ peak: 1e-2, warmup: 3, total: 40 }),
    optimizer: { clip: 0.5 },
    ...more,
    ...(ranks && { parallel: { bucketBytes: 4096, ...parallel, ranks } }),
  });
}

export type Rank = Ranks & { readonly gpu: Gpu };

export interface WorldOptions extends CommunicatorOptions {
  readonly sequenceRanks?: number;
}

/** Runs `work` on every rank at once, and says how each ended. */
export function outcomesOf<T>(size: number, work: (rank: Rank) => Promise<T>, { sequenceRanks = 1, ...options }: WorldOptions = {}): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(localCommunicators(size, options).map(async (world, rank) => {
    try {
      return await work({ ...(await arrangeRanks(world, { sequenceRanks })), gpu: gpus[rank]! });
    } catch (error) {
      world.abort(String(error));
      throw error;
    }
  }));
}

/** Runs `work` on every rank at once. Where one fails, its error is the one thrown. */
export async function together<T>(size: number, work: (rank: Rank) => Promise<T>, options: WorldOptions = {}): Promise<T[]> {
  const outcomes = await outcomesOf(size, work, options);
  const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as Error] : []));
  if (failures.length > 0) throw failures.find((error) => !error.message.startsWith("[COMM_ABORTED")) ?? failures[0]!;
  return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<T>).value);
}

/** What a run says of its numbers: everything but the time that it took. */
export async function numbers(records: AsyncIterable<TrainRecord>): Promise<number[]> {
  const all: number[] = [];
  for await (const record of records) all.push(...(record.kind === "step" ? [record.step, record.loss, record.gradNorm, record.rate] : [record.step, record.loss]));
  return all;
}

/** Weights and moments by name; the first moments after one update are its gradients, a tenth of them. */
export async function stateOf(trainer: Trainer): Promise<Map<string, Float32Array>> {
  const { file } = openCheckpoint(await saveCheckpoint(trainer));
  return new Map(file.names.map((name) => [name, file.get(name).floats()]));
}

export function release(trainer: Trainer): void {
  trainer.dispose();
  trainer.model.dispose();
}

export interface Ended {
  readonly said: number[];
  readonly state: Map<string, Float32Array>;
}

/** Runs a trainer to an end. */
export async function runOf(trainer: Trainer<DecoderModel>, until: number): Promise<Ended> {
  const ended = { said: await numbers(trainer.run(until)), state: await stateOf(trainer) };
  release(trainer);
  return ended;
}

/** Trains by itself, and returns what it says and ends with. */
export const trainAlone = (until: number, options: RankOptions = {}): Promise<Ended> => runOf(trainerOn(gpus[0]!, options), until);

/** Trains on `size` ranks, and returns what each says and ends with. */
export const train = (size: number, until: number, options: RankOptions = {}, world: WorldOptions = {}): Promise<Ended[]> =>
  together(size, ({ gpu, ...ranks }) => runOf(trainerOn(gpu, options, ranks), until), world);

/** The largest difference, relative to the largest magnitude of `want`. */
export function difference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Infinity;
  let [most, apart] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    most = Math.max(most, Math.abs(want[i]!));
    apart = Math.max(apart, Math.abs(got[i]! - want[i]!));
  }
  return apart / Math.max(most, 1e-12);
}
