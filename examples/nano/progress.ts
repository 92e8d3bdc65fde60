import type { StepRecord, TrainRecord } from "@polyhead/train";
import { SingleBar } from "cli-progress";
import process from "node:process";

export interface ProgressBar {
  update(record: TrainRecord): void;
  /** Prints above the bar. */
  say(text: string): void;
  stop(): void;
}

/** Milliseconds between two lines where the output is no terminal. */
const LINE_EVERY = 5000;

/** Loss, speed and time left; where the output is no terminal, a line every few seconds and no control characters. */
export function progressBar(steps: number, from: number): ProgressBar {
  return process.stdout.isTTY ? drawnBar(steps, from) : plainLines(steps, from);
}

function plainLines(steps: number, from: number): ProgressBar {
  const started = performance.now();
  let said = started;
  return {
    update(record) {
      const now = performance.now();
      if (record.kind !== "step" || (now - said < LINE_EVERY && record.step !== steps)) return;
      said = now;
      const { loss, speed, left } = told(record, steps, from, started);
      console.log(`step ${record.step}/${steps}  loss ${loss}  ${speed} tokens/s  ${left} left`);
    },
    say: (text) => { console.log(text); },
    stop: () => undefined,
  };
}

const told = ({ loss, tokensPerSecond, step }: StepRecord, steps: number, from: number, started: number): { readonly loss: string; readonly speed: string; readonly left: string } => ({
  loss: loss.toFixed(3),
  speed: Math.round(tokensPerSecond).toLocaleString("en"),
  left: clock(((performance.now() - started) / 1000 / (step - from)) * (steps - step)),
});

function drawnBar(steps: number, from: number): ProgressBar {
  const bar = new SingleBar({
    format: "{bar} {value}/{total}  loss {loss}  {speed} tokens/s  {left} left",
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true, // what is said comes where the bar was, and the bar below it
    stream: process.stdout,
  });
  const started = performance.now();
  const blank = { loss: "-", speed: "-", left: "-" };
  bar.start(steps, from, blank);
  let shown: typeof blank = blank;
  let at = from;
  return {
    update(record) {
      if (record.kind !== "step") return;
      at = record.step;
      shown = told(record, steps, from, started);
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

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
