import { mha } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import type { Safetensors } from "@polyhead/core/safetensors";
import { tied } from "@polyhead/embed-tied";
import { decoder, type DecoderModel } from "@polyhead/model";
import { layer } from "@polyhead/norm-layer";
import { learned } from "@polyhead/pos-absolute";
import type { Engine } from "@polyhead/tensor";
import { compare, nanoGptRun, type NanoGptRun } from "@polyhead/testkit";
import { CharVocabulary, splitTokens, Trainer, warmupCosine, windowsAt } from "@polyhead/train";
import { attentionLab } from "../kernels.ts";
import type { CaseRecord } from "../record.ts";
import type { SetOptions } from "./set.ts";

/** Losses agree within this over the whole run; gradient norms, which are larger than 1 now and then, relative to theirs. */
const TOLERANCE = 1e-3;

/** nanoGPT's own training run: same initial weights, same windows, same recipe, compared at every step that it tells. */
export async function* trainNanoGpt(data: string, engine: Engine, { wanted, kernel: only = "auto" }: SetOptions): AsyncGenerator<CaseRecord> {
  if (!wanted("losses") && !wanted("gradient-norms")) return;
  const run = nanoGptRun(data);
  const model = buildModel(run, engine, only);
  const starts = run.trajectory.get("batch_start");
  const losses = run.trajectory.get("loss_f64").numbers();
  const norms = run.trajectory.get("grad_norm_before_clip_f64").numbers();
  const rates = run.trajectory.get("lr").numbers();
  const [total = 0, batch = 0] = starts.shape;
  const places = starts.numbers();
  const { train } = splitTokens(CharVocabulary.of(run.text).encode(run.text));
  const schedule = warmupCosine({ peak: 1e-3, warmup: 20, total });
  const trainer = new Trainer({
    model,
    data: { batch: (step) => windowsAt(train, [...places.subarray(step * batch, (step + 1) * batch)], model.spec.context) },
    schedule,
    optimizer: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, clip: 1 },
    reportEvery: 10,
  });
  const got = { losses: [] as number[], norms: [] as number[] };
  let problem: string | null = null;
  const off = rates.findIndex((rate, step) => Math.abs(rate - schedule(step)) > 1e-9);
  if (off >= 0) problem = `the learning rate of step ${off} is ${schedule(off)}, the run says ${rates[off]!}`;
  try {
    for await (const record of trainer.run(losses.length)) {
      if (record.kind !== "step") continue;
      got.losses.push(record.loss);
      got.norms.push(record.gradNorm);
    }
  } catch (error) {
    problem = String(error);
  }
  const { kernel, how } = model.plan;
  const judge = (name: string, mine: readonly number[], theirs: Float64Array, relative: number): CaseRecord => {
    const base = { set: "train-nanogpt", case: name, kernel: kernel.name, lowering: how };
    if (problem !== null) return { ...base, maxError: null, pass: false, reason: problem };
    const { pass, maxError, worst } = compare(mine, theirs, { kind: "each", absolute: TOLERANCE, relative });
    return { ...base, maxError, pass, reason: pass ? null : `step ${worst?.index ?? 0} is ${worst?.got ?? NaN}, wanted ${worst?.want ?? NaN}` };
  };
  if (wanted("losses")) yield judge("losses", got.losses, losses, 0);
  if (wanted("gradient-norms")) yield judge("gradient-norms", got.norms, norms, TOLERANCE);
  trainer.dispose();
  model.dispose();
}

function buildModel({ config, weights }: NanoGptRun, engine: Engine, kernel: string): DecoderModel {
  const size = (key: string): number => config[key] as number;
  const model = createLab(mha, learned, layer, tied, decoder, ...attentionLab.plugins).model(
    {
      layers: size("n_layer"),
      width: size("n_embd"),
      vocab: size("vocab_size"),
      context: size("n_positions"),
      attention: { use: "mha", heads: size("n_head") },
      position: { use: "learned" },
      norm: { use: "layer", epsilon: size("layer_norm_epsilon") },
      embedding: { use: "tied" },
      feedForward: { use: "gelu" },
      kernel: kernel as "auto", // a name that the lab does not know is an error of its own
    },
    engine,
  );
  for (const { name, tensor } of model.parameters.all) engine.upload(tensor, weightOf(weights, name));
  return model;
}

/** Our names beside those of Hugging Face's GPT-2, whose projections are stored `[in, out]`. */
const NAMES: readonly (readonly [ours: RegExp, theirs: string, transposed: boolean])[] = [
  [/^embedding\.weight$/, "wte.weight", false],
  [/^position\..*table$/, "wpe.weight", false],
  [/^norm\.(weight|bias)$/, "ln_f.$1", false],
  [/^blocks\.(\d+)\.attention\.norm\.(weight|bias)$/, "h.$1.ln_1.$2", false],
  [/^blocks\.(\d+)\.attention\.qkv\.weight$/, "h.$1.attn.c_attn.weight", true],
  [/^blocks\.(\d+)\.attention\.qkv\.bias$/, "h.$1.attn.c_attn.bias", false],
  [/^blocks\.(\d+)\.attention\.out\.weight$/, "h.$1.attn.c_proj.weight", true],
  [/^blocks\.(\d+)\.attention\.out\.bias$/, "h.$1.attn.c_proj.bias", false],
  [/^blocks\.(\d+)\.feedForward\.norm\.(weight|bias)$/, "h.$1.ln_2.$2", false],
  [/^blocks\.(\d+)\.feedForward\.up\.weight$/, "h.$1.mlp.c_fc.weight", true],
  [/^blocks\.(\d+)\.feedForward\.up\.bias$/, "h.$1.mlp.c_fc.bias", false],
  [/^blocks\.(\d+)\.feedForward\.down\.weight$/, "h.$1.mlp.c_proj.weight", true],
  [/^blocks\.(\d+)\.feedForward\.down\.bias$/, "h.$1.mlp.c_proj.bias", false],
];

function weightOf(weights: Safetensors, name: string): Float32Array {
  for (const [ours, theirs, transposed] of NAMES) {
    if (!ours.test(name)) continue;
    const stored = weights.get(`transformer.${name.replace(ours, theirs)}`);
    const values = stored.floats();
    if (!transposed) return values;
    const [rows = 0, columns = 0] = stored.shape;
    return Float32Array.from({ length: values.length }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
  }
  throw new Error(`no name for parameter '${name}' in Hugging Face's GPT-2`);
}
