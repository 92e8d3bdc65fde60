// A model of characters, trained by several ranks that share batches, windows, or both: in one process, or under mpirun.
import { mha } from "@polyhead/attn-mha";
import { positionsOf, ring, type RingLayout, type RingScheme } from "@polyhead/attn-ring";
import { localCommunicators } from "@polyhead/comm-local";
import { mpiCommunicator, underLauncher } from "@polyhead/comm-mpi";
import { createLab, isPolyheadError, PolyheadError, type Communicator } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder } from "@polyhead/model";
import { interruption, readArguments, readNumber, runProgram } from "@polyhead/model/node";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { arrangeRanks, CharVocabulary, consecutiveWindows, randomWindows, resume, saveCheckpoint, splitTokens, Trainer, warmupCosine, type BatchSource, type TrainRecord } from "@polyhead/train";
import { openRunFolder } from "@polyhead/train/node";
import process from "node:process";

const TEXT = "How much wood would a woodchuck chuck if a woodchuck could chuck wood? He would chuck as much wood as a woodchuck could. ".repeat(20);
const CONTEXT = 64;
const BATCH = 4;

export interface TrainOptions {
  /** Undefined: as many as the launcher has started, or 4 in one process. */
  readonly ranks: number | undefined;
  readonly sequenceRanks: number;
  readonly layout: RingLayout;
  readonly scheme: RingScheme;
  readonly steps: number;
  readonly out: string;
  readonly resume: boolean;
  /** Updates between two checkpoints. */
  readonly saveEvery: number;
  /** This rank's process dies in the middle of this update: to see what becomes of the others. */
  readonly killRank: number;
  readonly killStep: number;
}

/** What a run needs of its program. */
export interface Surroundings {
  /** Hears lines of rank 0. */
  readonly tell: (line: string) => void;
  /** The device of a rank. Default: the machine's. */
  readonly openGpu?: (rank: number) => Promise<Gpu>;
  readonly signal?: AbortSignal;
}

/** What a run has come to. */
export interface TrainSummary {
  readonly ranks: number;
  readonly sequenceRanks: number;
  /** The update that the run began after, and the one that it ended with. */
  readonly from: number;
  readonly step: number;
  /** Of the last update, and of the text that it has not seen, nats a character. */
  readonly loss: number;
  readonly validation: number;
}

/** @throws PolyheadError `ARGUMENT_UNKNOWN`, `ARGUMENT_NUMBER`, `ARGUMENT_VALUE`. */
export function readTrainOptions(args: readonly string[]): TrainOptions {
  const { words, flags } = readArguments(args, ["ranks", "sequence-ranks", "layout", "scheme", "steps", "out", "save-every", "kill-rank", "kill-step"], ["resume"]);
  const count = (name: string, fallback: number, least = 1): number => readNumber(name, words[name] ?? String(fallback), { least, whole: true }, "a whole number");
  if (words["out"] === undefined) throw new PolyheadError("ARGUMENT_VALUE", "nothing says where checkpoints and log go", "write --out FOLDER");
  return {
    ranks: words["ranks"] === undefined ? undefined : count("ranks", 4),
    sequenceRanks: count("sequence-ranks", 1),
    layout: (words["layout"] ?? "zigzag") as RingLayout, // ring() refuses what it does not know
    scheme: (words["scheme"] ?? "ring") as RingScheme,
    steps: count("steps", 20),
    out: words["out"],
    resume: flags.has("resume"),
    saveEvery: count("save-every", 5),
    killRank: count("kill-rank", 0, 0),
    killStep: count("kill-step", 0, 0),
  };
}

/** One rank's whole life. All come to the same; rank 0 alone writes and tells. */
export async function trainRank(world: Communicator, options: TrainOptions, { tell, signal, openGpu = openNamed }: Surroundings): Promise<TrainSummary> {
  const first = world.rank === 0;
  const ranks = await arrangeRanks(world, { sequenceRanks: options.sequenceRanks });
  const { sequence } = ranks;
  const vocabulary = CharVocabulary.of(TEXT);
  const { train, validation } = splitTokens(vocabulary.encode(TEXT));
  const kernel = ring({ communicator: sequence, layout: options.layout, scheme: options.scheme, length: CONTEXT });
  const gpu = await openGpu(world.rank);
  const model = createLab(mha, rope, rms, tied, kernel, decoder).model({
    layers: 2, width: 32, vocab: vocabulary.size, context: CONTEXT, feedForward: { use: "swiglu" },
    attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied", std: 0.1 },
  }, createEngine(gpu, { seed: 1 }));
  const trainer = new Trainer({
    model,
    data: dying(randomWindows(train, { batch: BATCH, context: CONTEXT, seed: 1 }), world, options),
    validation: consecutiveWindows(validation, CONTEXT, BATCH),
    schedule: warmupCosine({ peak: 1e-2, warmup: 5, total: 100 }),
    optimizer: { clip: 1 },
    parallel: { ranks, checkEvery: 5, positions: (length) => positionsOf(options.layout, sequence.rank, sequence.size, length) },
  });
  const folder = await openRunFolder(options.out, { writes: first });
  const checkpoint = options.resume && first ? await folder.loadCheckpoint() : undefined;
  if (checkpoint !== undefined) {
    resume(trainer, checkpoint); // the others are given what rank 0 has
    await folder.rewindLog(trainer.step);
    tell(`goes on after step ${trainer.step} of ${options.out}`);
  }
  if (first) tell(`${world.size} ranks over '${world.kind}': ${ranks.dataRanks} of the batch × ${sequence.size} of each window; ${model.plan.kernel.name}; ${gpu.info.description}`);
  let from: number | undefined;
  let loss = NaN;
  let evaluated = NaN;
  for await (const record of trainer.run(options.steps, signal)) {
    if (record.kind === "step") [from, loss] = [from ?? record.step - 1, record.loss];
    else evaluated = record.loss;
    if (!first) continue;
    tell(lineOf(record));
    await folder.log([record]);
    if (record.kind === "step" && (record.step % options.saveEvery === 0 || record.step === options.steps)) await folder.saveCheckpoint(await saveCheckpoint(trainer));
  }
  const { step } = trainer;
  trainer.dispose();
  model.dispose();
  await ranks.close();
  gpu.dispose();
  return { ranks: world.size, sequenceRanks: sequence.size, from: from ?? step, step, loss, validation: evaluated };
}

/** One rank says which device it found. */
const openNamed = (rank: number): Promise<Gpu> => openNodeGpu(rank === 0 ? {} : { onNotice: () => undefined });

const lineOf = (record: TrainRecord): string => (record.kind === "step" ? `step ${record.step}: loss ${record.loss.toFixed(5)}, gradient ${record.gradNorm.toFixed(4)}` : `validation loss ${record.loss.toFixed(5)}`);

/** The same batches; a process that is to die does so while its update runs, without a word, as by a power cut. */
const dying = (source: BatchSource, { rank }: Communicator, { killRank, killStep }: TrainOptions): BatchSource => ({
  batch(index) {
    if (rank === killRank && index === killStep - 1) setTimeout(() => { process.kill(process.pid, "SIGKILL"); }, 5);
    return source.batch(index);
  },
});

/** Every rank of this process. A rank that fails tells the others, which then need not wait for it. Returns what rank 0 has to say, in its process. */
export async function trainWorld(options: TrainOptions, surroundings: Surroundings): Promise<TrainSummary | undefined> {
  const worlds = underLauncher() ? [await mpiCommunicator()] : localCommunicators(options.ranks ?? 4);
  const [{ size }] = worlds as [Communicator];
  if (options.ranks !== undefined && options.ranks !== size) throw new PolyheadError("ARGUMENT_CLASH", `--ranks is ${options.ranks}, but the launcher has started ${size}`, "leave --ranks out under MPI: mpirun -n says how many there are");
  const summaries = await Promise.all(worlds.map(async (world) => {
    try {
      return await trainRank(world, options, surroundings);
    } catch (error) {
      if (isPolyheadError(error) && error.code.startsWith("COMM_")) throw error; // the others know
      const message = error instanceof Error ? error.message : String(error);
      if (underLauncher()) console.error(`rank ${world.rank}: ${message}`); // an abort ends this process as well
      world.abort(message);
      throw error;
    }
  }));
  await Promise.all(worlds.map((world) => world.close()));
  return summaries[worlds.findIndex(({ rank }) => rank === 0)];
}

await runProgram(import.meta, async () => {
  const summary = await trainWorld(readTrainOptions(process.argv.slice(2)), { tell: console.log, signal: interruption() });
  if (summary !== undefined) console.log(JSON.stringify(summary));
});
