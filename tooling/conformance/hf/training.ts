import type { Safetensors } from "@polyhead/core/safetensors";
import { dismantle } from "@polyhead/model/pretrained";
import { GRADIENT, type Rule } from "@polyhead/testkit";
import { AdamW } from "@polyhead/train";
import { ExpertOptimizer } from "./expert-optimizer.ts";
import type { OpenModel } from "./open-model.ts";
import { passageOf } from "./passage.ts";
import { failure, judge, type Held, type Verdict } from "./verdict.ts";

/** The reference is good to 4e-6; a mean over a batch in f32 is no worse. */
const LOSS: Rule = { kind: "each", absolute: 1e-5, relative: 0 };
/** Adam divides gradients by their own size, so that the last digits of small ones steer a step; ten steps add them up. */
const LOSSES: Rule = { kind: "each", absolute: 2e-5, relative: 0 };

export async function loss({ model }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine } = model;
  const made = engine.noGrad(() => engine.scope(() => passageOf(model, golden).loss()));
  const got = await made.read();
  made.dispose();
  return judge([{ name: "loss", got, want: golden.get("loss").numbers(), shape: [1] }], LOSS);
}

/** The gradient of the loss for every parameter, under the names of the checkpoint, on both sides the same ones. */
export async function gradients({ model, family, spec, config }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine, parameters } = model;
  engine.scope(() => { passageOf(model, golden).loss().backward(); });
  const got = new Map<string, Float32Array>();
  const shapes = new Map<string, readonly number[]>();
  for (const [name, recipe] of family.weights(spec, config)) {
    const parameter = parameters.get(name);
    if (parameter === undefined) return failure(`the model has no parameter '${name}'`);
    if (parameter.spec.trainable === false) continue;
    const gradient = await parameter.tensor.grad?.read();
    dismantle(recipe, (gradient as Float32Array | undefined) ?? new Float32Array(parameter.tensor.size), got);
    for (const { tensor, shape } of recipe) shapes.set(tensor, shape);
  }
  parameters.zeroGrad();
  const prefix = "grad.";
  const wanted = golden.names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const missing = wanted.find((name) => !got.has(name));
  if (missing !== undefined) return failure(`no gradient for '${missing}', which the reference has`);
  // What no token reached has no gradient in PyTorch, and a gradient of zeros here.
  const extra = [...got].find(([name, values]) => !wanted.includes(name) && values.some((value) => value !== 0));
  if (extra !== undefined) return failure(`a gradient for '${extra[0]}', which the reference has not`);
  return judge(wanted.map((name): Held => ({ name, got: got.get(name)!, want: golden.get(prefix + name).numbers(), shape: shapes.get(name)! })), GRADIENT);
}

/** Losses before each of a few AdamW steps on the one batch. It changes the model. */
export async function adamw({ model }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine, parameters } = model;
  const want = golden.get("adamw_losses").numbers();
  const passage = passageOf(model, golden);
  const recipe = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const [rate, decay] = [1e-3, 0.01];
  const experts = new ExpertOptimizer(parameters.trainable, { ...recipe, rate, weightDecay: decay });
  const optimizer = new AdamW({ trainable: parameters.trainable.filter((one) => !experts.owns(one)) }, { ...recipe, weightDecay: () => decay });
  const got: number[] = [];
  try {
    while (got.length < want.length) {
      const made = engine.scope(() => {
        const value = passage.loss(experts.observe);
        value.backward();
        optimizer.step(rate).dispose();
        return engine.keep(value);
      });
      got.push((await made.read())[0]!);
      made.dispose();
      await experts.step();
    }
  } finally {
    optimizer.dispose();
  }
  return judge([{ name: "losses", got, want, shape: [want.length] }], LOSSES);
}
