import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Launcher } from "@polyhead/comm-mpi";
import { lastLine } from "./programs.ts";
import { runRanks, tail, type Judged } from "./run.ts";

const TRAIN = "examples/ring/train.ts";
const STEPS = 12;
/** Checkpoints are written after every fifth update: the one after this is the last that a run killed in its eighth leaves. */
const SAVED = 5;
const KILLED = 8;

/** What the last line of a training says. */
interface Outcome {
  readonly ranks: number;
  readonly from: number;
  readonly step: number;
  readonly loss: number;
}

/** @returns undefined where the line is none of a training's */
export function outcomeOf(output: string): Outcome | undefined {
  try {
    const found: unknown = JSON.parse(lastLine(output));
    return typeof found === "object" && found !== null && "from" in found && "loss" in found ? (found as Outcome) : undefined;
  } catch {
    return undefined;
  }
}

const train = (launcher: Launcher, ranks: number, folder: string, ...more: readonly string[]): ReturnType<typeof runRanks> =>
  runRanks(launcher, ranks, TRAIN, ["--sequence-ranks", "2", "--steps", String(STEPS), "--save-every", String(SAVED), "--out", folder, ...more], { seconds: 150 });

/** A training over batches and windows whose rank 1 is killed in mid-step, resumed on fewer ranks, beside one that never stopped. */
export async function* training(launcher: Launcher): AsyncGenerator<Judged> {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-train-"));
  try {
    const whole = await train(launcher, 4, join(folder, "whole"));
    const wanted = outcomeOf(whole.stdout);
    yield { case: "a training on 2 × 2 ranks", failure: whole.code === 0 && wanted?.step === STEPS ? "" : `exit code ${whole.code}; ${tail(whole.output)}` };

    const killed = await train(launcher, 4, join(folder, "killed"), "--kill-rank", "1", "--kill-step", String(KILLED));
    const silent = [0, 2, 3].filter((rank) => !new RegExp(`\\[COMM_(LOST|ABORTED)\\] rank ${rank}\\b`).test(killed.output));
    yield { case: "a rank killed in mid-update ends the training with a typed error on every rank", failure: killed.code !== 0 && silent.length === 0 ? "" : `exit code ${killed.code}, nothing from rank ${silent.join(", ")}; ${tail(killed.output)}` };

    const resumed = await train(launcher, 2, join(folder, "killed"), "--resume");
    const got = outcomeOf(resumed.stdout);
    const same = got?.from === SAVED && got.step === STEPS && got.ranks === 2 && wanted !== undefined && Math.abs(got.loss - wanted.loss) < 1e-4;
    yield { case: "its last checkpoint goes on, on 2 ranks, to the loss of a training that never stopped", failure: resumed.code === 0 && same ? "" : `exit code ${resumed.code}, ${JSON.stringify(got)} beside ${JSON.stringify(wanted)}; ${tail(resumed.output)}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
