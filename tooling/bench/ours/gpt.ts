import { flash } from "@polyhead/attn-flash";
import { tuneFlash } from "@polyhead/attn-flash/kernel";
import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { untied } from "@polyhead/embed-untied";
import { decoder } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import { createEngine, tuneMatmul } from "@polyhead/tensor";
import { constantRate, Trainer } from "@polyhead/train";
import type { OurKernel } from "../args.ts";
import { adam, normEpsilon, type GptProblem } from "../cases/gpt-problem.ts";
import type { Contender } from "../contender.ts";
import { weightFor } from "./gpt-weights.ts";
import { ourGpu } from "./gpu.ts";
import { stepMeter } from "./step-meter.ts";

const lab = createLab(decoder, mha, flash, reference, learned, layer, untied);

export interface OurGptOptions {
  /** Default: what the planner chooses. */
  readonly kernel?: OurKernel;
  readonly replay: boolean;
}

/** The model composed from plugins and trained by the trainer, as a user would. */
export const ourGpt = ({ kernel, replay }: OurGptOptions): Contender<GptProblem> => ({
  name: ["polyhead", ...(kernel === undefined ? [] : [kernel]), ...(replay ? [] : ["without replay"])].join(" "),
  role: "ours",
  async setup(problem) {
    const { layers, width, heads, context, vocab, batch } = problem.shape;
    const gpu = await ourGpu();
    const engine = createEngine(gpu);
    const model = lab.model(
      {
        layers, width, vocab, context,
        attention: { use: "mha", heads },
        position: { use: "learned" },
        norm: { use: "layer", place: "pre", epsilon: normEpsilon },
        embedding: { use: "untied" },
        feedForward: { use: "gelu-tanh" },
        ...(kernel !== undefined && { kernel }),
      },
      engine,
    );
    for (const { name, tensor } of model.parameters.all) engine.upload(tensor, weightFor(name, problem));
    const data = {
      batch(step: number) {
        const { ids, targets } = problem.batch(step);
        return { inputs: Uint32Array.from(ids), targets: Uint32Array.from(targets) };
      },
    };
    // One pass shows the tuner which products there are; the weights stay as they are.
    const { inputs, targets } = data.batch(0);
    engine.scope(() => {
      model.loss(model.ids(inputs, batch), model.ids(targets, batch)).backward();
    });
    model.parameters.zeroGrad();
    await tuneMatmul(engine, undefined, { budgetMs: 60_000 });
    await tuneFlash(engine, undefined, { budgetMs: 60_000 });

    const { rate, ...betas } = adam;
    const trainer = new Trainer({ model, data, schedule: constantRate(rate), optimizer: { ...betas, weightDecay: 0 }, replay });
    const meter = stepMeter(gpu);
    return {
      run: () =>
        meter.step(
          // The generator records and sends the whole update before it first waits.
          () => trainer.run(trainer.step + 1).next(),
          async (pending) => {
            const { value } = await pending;
            return Float32Array.of(value?.loss ?? NaN);
          },
        ),
      facts: () => ({ kernel: model.plan.kernel.name, replayed: trainer.replay.replaying ? "yes" : `no: ${trainer.replay.reason}`, ...meter.facts() }),
      close() {
        trainer.dispose();
        model.dispose();
      },
    };
  },
});
