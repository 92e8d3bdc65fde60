import type { Engine } from "@polyhead/tensor";
import { tuneMatmul } from "@polyhead/tensor";
import { configure, SIZES, type Options, type Size } from "./config.ts";
import type { Book } from "./text.ts";
import { createRun } from "./train.ts";

/** Training time that the demo aims for; evaluations, samples and compilation come on top. */
const BUDGET_SECONDS = 110;
/** A size is worth its while only with so many updates. */
const ENOUGH_STEPS = 700;
const MOST_STEPS = 3000;

export interface Fit {
  readonly size: Size;
  readonly steps: number;
}

/** Tries sizes from the smallest up, a few updates each, and keeps the largest that learns enough in the time there is. */
export async function probe(book: Book, options: Options, engine: Engine): Promise<Fit> {
  const named = options.parts.size;
  const sizes = named === "auto" ? (Object.keys(SIZES) as Size[]) : [named as Size];
  let best: Fit | undefined;
  for (const size of sizes) {
    const seconds = await secondsAStep(book, options, size, engine);
    const steps = Math.floor(BUDGET_SECONDS / seconds);
    console.log(`probe     ${size}: ${(seconds * 1000).toFixed(1)} ms an update`);
    if (best !== undefined && steps < ENOUGH_STEPS) break;
    best = { size, steps: Math.min(MOST_STEPS, Math.max(100, steps)) };
    if (steps < 3 * ENOUGH_STEPS) break; // the next size costs about that much more at the least
  }
  return best!;
}

/** Seconds of one update in steady state: kernels compiled, matmul tuned. */
async function secondsAStep(book: Book, options: Options, size: Size, engine: Engine): Promise<number> {
  const { trainer, model } = createRun(book, configure(options, size, 1000), engine);
  const train = async (updates: number): Promise<number> => {
    const started = performance.now();
    // Breaking off after the last update leaves out the evaluation that ends a run.
    for await (const { step } of trainer.run(trainer.step + updates)) if (step === trainer.step) break;
    return (performance.now() - started) / 1000;
  };
  try {
    await train(1);
    await tuneMatmul(engine, undefined, { budgetMs: 4000 });
    await train(2);
    return (await train(5)) / 5;
  } finally {
    trainer.dispose();
    model.dispose();
    engine.gpu.trim();
  }
}
