import type { GpuStats } from "@polyhead/gpu";
import { explainMatmul } from "@polyhead/tensor";
import type { StepRecord, TrainRecord } from "@polyhead/train";
import type { Sample } from "./report.ts";
import type { Run } from "./train.ts";

/** What a finished run has to tell. */
export interface Told {
  readonly adapter: string;
  readonly seconds: number;
  readonly records: readonly TrainRecord[];
  readonly samples: readonly Sample[];
  readonly run: Run;
  readonly stats: GpuStats;
  readonly folder: string;
}

/** Median speed of the updates: evaluations and pauses do not count. */
export function medianSpeed(records: readonly TrainRecord[]): number {
  const speeds = records.filter((r): r is StepRecord => r.kind === "step").map((r) => r.tokensPerSecond).sort((a, b) => a - b);
  return speeds[speeds.length >> 1] ?? 0;
}

/** The last validation loss, if there was an evaluation. */
export const validationLoss = (records: readonly TrainRecord[]): number | undefined => records.findLast((r) => r.kind === "evaluation")?.loss;

/** How every matrix product of the run was computed, a line a class. */
export const matmulPlan = ({ model }: Run): string[] => explainMatmul(model.engine).map(({ shape, template, source }) => `matmul ${shape}: ${template} (${source})`);

/** Lines of the matmul plan that a terminal has patience for. */
const MOST_MATMULS = 6;

/** The measured products that take longest, each; the report has them all. */
const costliestMatmuls = ({ model }: Run): string[] =>
  explainMatmul(model.engine)
    .filter(({ ms }) => ms !== undefined)
    .sort((a, b) => b.ms! - a.ms!)
    .slice(0, MOST_MATMULS)
    .map(({ shape, template, source, ms }) => `matmul ${shape}: ${template} (${source}, ${ms!.toFixed(2)} ms)`);

/** The last words of the demo. */
export function summary(told: Told): string {
  const { adapter, seconds, records, run, stats, folder } = told;
  const loss = validationLoss(records);
  const verdict = loss === undefined ? "" : loss < run.bigram ? ` (${(run.bigram - loss).toFixed(3)} below a bigram model's ${run.bigram.toFixed(3)})` : ` (a bigram model has ${run.bigram.toFixed(3)}: train longer)`;
  return [
    "",
    `adapter          ${adapter}`,
    ...run.model.explain().split("\n").map((line, i) => (i === 0 ? "model" : i === 1 ? "plan" : "").padEnd(17) + line),
    ...costliestMatmuls(run).map((line) => " ".repeat(17) + line),
    `speed            ${Math.round(medianSpeed(records)).toLocaleString("en")} tokens/s (median update), ${seconds.toFixed(0)} s in all`,
    `memory           ${(stats.peakBytes / 2 ** 20).toFixed(1)} MiB of GPU buffers at the peak`,
    `validation loss  ${loss === undefined ? "not measured" : `${loss.toFixed(4)} nats a character${verdict}`}`,
    `run folder       ${folder}  (report.html, log.jsonl, checkpoint.safetensors)`,
  ].join("\n");
}
