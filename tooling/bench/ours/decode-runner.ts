import { tuneFlash } from "@polyhead/attn-flash/kernel";
import { DecodeStep, type DecoderModel } from "@polyhead/model";
import { argmax, tuneMatmul } from "@polyhead/tensor";
import { outputOf, type DecodeRun } from "../cases/decode.ts";
import type { Runner } from "../contender.ts";
import { tokenMeter } from "./token-meter.ts";

/** Tokens whose ids may still be on their way to the host while the next step is sent, as `generate` has it. */
const AHEAD = 2;

/** Greedy steps on a static cache, a token at a time as `generate` does it, without its text. */
export async function decodeRunner(model: DecoderModel, { past, first, tokens }: Pick<DecodeRun, "past" | "first" | "tokens">, replay: boolean): Promise<Runner> {
  const { engine } = model;
  const size = { batch: 1, kind: "static", capacity: past.length + tokens } as const;
  const cache = model.createCache(size);
  const bytes = cache.reduce((sum, rows) => sum + rows.bytes, 0);
  const halves = model.createCache({ ...size, dtype: "f16" });
  const halfBytes = halves.reduce((sum, rows) => sum + rows.bytes, 0);
  for (const rows of halves) rows.dispose();

  const row = engine.noGrad(() => model.prefill(model.ids(past), { cache }));
  const logits = (await row.read()) as Float32Array;
  row.dispose();
  const rewind = (): void => { for (const rows of cache) rows.truncate(past.length); };
  const stepper = (): DecodeStep => new DecodeStep(model, { cache, replay, choose: (last) => argmax(last) });
  // One step shows the tuner which products there are.
  const trial = stepper();
  trial.next(0);
  await trial.ids.read();
  trial.dispose();
  await tuneMatmul(engine, undefined, { budgetMs: 20_000 });
  await tuneFlash(engine, undefined, { budgetMs: 10_000, passes: ["forward"] });
  const step = stepper();
  const meter = tokenMeter(engine.gpu);
  return {
    async run() {
      rewind();
      engine.upload(step.ids, Uint32Array.of(first));
      const ids: number[] = [];
      const coming: Promise<number>[] = [];
      for (let i = 0; i < tokens; i++) {
        meter.token(() => {
          step.next(i);
          coming.push(step.ids.item());
        });
        while (coming.length > (i + 1 < tokens ? AHEAD : 0)) ids.push(await coming.shift()!);
      }
      return outputOf(ids, logits);
    },
    decoding: () => ({ ...meter.figures(), bytes, weightBytes: matrixBytes(model) }),
    facts: () => ({ "cache bytes in f16": halfBytes, "rows of the cache": size.capacity, replayed: step.obstacle === undefined ? "yes" : `no: ${step.obstacle}`, ...meter.facts() }),
    close() {
      step.dispose();
      for (const rows of cache) rows.dispose();
    },
  };
}

/** Of the matrices that every step reads whole: all but tables of positions, of which it reads a row. */
function matrixBytes({ parameters }: DecoderModel): number {
  const matrices = parameters.all.filter(({ name, tensor }) => tensor.rank === 2 && !name.startsWith("position."));
  return matrices.reduce((sum, { tensor }) => sum + tensor.size * (tensor.dtype === "f16" ? 2 : 4), 0);
}
