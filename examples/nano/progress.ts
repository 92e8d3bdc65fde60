import type { TrainRecord } from "@polyhead/train";
import { SingleBar } from "cli-progress";
import process from "node:process";

export interface ProgressBar {
  update(record: TrainRecord): void;
  /** Prints above the bar. */
  say(text: string): void;
  stop(): void;
}

/** Loss, speed and time left; where the output is no terminal, a line every few seconds. */
export function progressBar(steps: number, from: number): ProgressBar {
  const bar = new SingleBar({
    format: "{bar} {value}/{total}  loss {loss}  {speed} tokens/s  {left} left",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    noTTYOutput: true,
    notTTYSchedule: 5000,
    stream: process.stdout,
  });
  const started = performance.now();
  const blank = { loss: "-", speed: "-", left: "-" };
  bar.start(steps, from, blank);
  let shown = { ...blank };
  let at = from;
  return {
    update(record) {
      if (record.kind !== "step") return;
      at = record.step;
      const seconds = ((performance.now() - started) / 1000 / (at - from)) * (steps - at);
      shown = { loss: record.loss.toFixed(3), speed: Math.round(record.tokensPerSecond).toLocaleString("en"), left: clock(seconds) };
      bar.update(at, shown);
    },
    say(text) {
      bar.stop();
      console.log(text);
      bar.start(steps, at, shown);
    },
    stop() {
      bar.stop();
    },
  };
}

const clock = (seconds: number): string => `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;
