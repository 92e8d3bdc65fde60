import type { Safetensors } from "@polyhead/core/safetensors";
import type { DecoderModel, Observation } from "@polyhead/model";
import type { Tensor } from "@polyhead/tensor";
import type { Rule } from "@polyhead/testkit";
import { idsOf, limitsOf, rowOf } from "./golden.ts";
import { hasEncoder, type OpenModel } from "./open-model.ts";
import { passageOf } from "./passage.ts";
import { judge, type Held, type Verdict } from "./verdict.ts";

/** The bound that the models must keep, in the units of their logits. */
const LOGITS: Rule = { kind: "each", absolute: 1e-4, relative: 0 };
/** The reference itself is good to 4e-6, and f32 adds as much over a few layers. */
const HIDDEN: Rule = { kind: "each", absolute: 2e-5, relative: 1e-5 };
const PROBABILITIES: Rule = { kind: "each", absolute: 1e-5, relative: 0 };

async function readAll(tensors: readonly Tensor[]): Promise<Float32Array[]> {
  const read = await Promise.all(tensors.map((tensor) => tensor.read()));
  for (const tensor of tensors) tensor.dispose();
  return read as Float32Array[];
}

/** Logits of the reference batch, of as many positions as the reference has. */
export async function logits({ model }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine } = model;
  const want = golden.get("logits");
  const [got] = await readAll([engine.noGrad(() => engine.scope(() => passageOf(model, golden).logits(false)))]);
  return judge([{ name: "logits", got: got!.subarray(0, want.size), want: want.numbers(), shape: want.shape }], LOGITS);
}

/**
 * Logits of the batch with padding; rows of padding mean nothing, and are not compared. Where a reference has no numbers at all for a
 * text, since software that gives NaN to padding spreads it, the text by itself is what its logits are compared with.
 */
export async function padded({ model }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine } = model;
  const want = golden.get("padded.logits");
  const [batch = 0, tokens = 0, vocab = 0] = want.shape;
  const [got] = await readAll([engine.noGrad(() => engine.scope(() => passageOf(model, golden).logits(true)))]);
  const wanted = want.numbers();
  const limits = limitsOf(golden, "padded.attention_mask");
  const held: Held[] = [];
  for (let b = 0; b < batch; b++) {
    // A decoder beside an encoder reads a text without padding.
    const [first, end] = hasEncoder(model) ? [0, tokens] : [limits.starts[b]!, limits.ends[b]!];
    const cut = <A extends Float32Array | Float64Array>(all: A): A => all.subarray((b * tokens + first) * vocab, (b * tokens + end) * vocab) as A;
    const known = cut(wanted);
    const alone = known.every(Number.isNaN) && !hasEncoder(model) ? await logitsOf(model, rowOf(idsOf(golden, "input_ids"), b).slice(first, end)) : known;
    held.push({ name: `row ${b}`, got: cut(got!), want: alone, shape: [end - first, vocab] });
  }
  return judge(held, LOGITS);
}

async function logitsOf(model: DecoderModel, ids: readonly number[]): Promise<Float32Array> {
  const { engine } = model;
  const [read] = await readAll([engine.noGrad(() => engine.scope(() => model.logits(model.ids(ids))))]);
  return read!;
}

/** The stream at the ends of blocks, as transformers numbers it. */
class Stream {
  readonly #events: { readonly kind: Observation["kind"]; readonly x: Tensor }[] = [];

  readonly hear = ({ kind, x }: Observation): void => {
    this.#events.push({ kind, x: x.engine.keep(x.contiguous()) });
  };

  get tensors(): readonly Tensor[] {
    return this.#events.map(({ x }) => x);
  }

  /**
   * @param layers  blocks, which all have as many sublayers
   * @param last  the norm stands in the place of the last block's end, as in `hidden_states`
   */
  async points(layers: number, last: boolean): Promise<Float32Array[]> {
    const read = await readAll(this.tensors);
    const of = (kind: Observation["kind"]): Float32Array[] => read.filter((_, i) => this.#events[i]!.kind === kind);
    const steps = of("sublayer");
    const perBlock = steps.length / layers;
    const ends = steps.filter((_, i) => (i + 1) % perBlock === 0);
    return last ? [...of("embedding"), ...ends.slice(0, -1), ...of("final")] : ends;
  }
}

/** Hidden states wherever the reference has them. */
export async function hidden({ model, spec }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine } = model;
  const [encoder, decoder] = [new Stream(), new Stream()];
  engine.noGrad(() => { engine.scope(() => { passageOf(model, golden).logits(false, { encoder: encoder.hear, decoder: decoder.hear }); }); });
  const [encoders, decoders] = [hasEncoder(model) ? encoderLayers(spec) : 0, spec.layers];
  const outputs = golden.has("layer_output.0");
  const streams: Record<string, Float32Array[]> = hasEncoder(model)
    ? { encoder_hidden_states: await encoder.points(encoders, true), decoder_hidden_states: await decoder.points(decoders, true) }
    : outputs ? { layer_output: await decoder.points(decoders, false) } : { hidden_states: await decoder.points(decoders, true) };
  return judge(numbered(golden, streams), HIDDEN);
}

/** Attention probabilities wherever the reference has them. */
export async function attentions({ model, spec, probe }: OpenModel, golden: Safetensors): Promise<Verdict> {
  const { engine } = model;
  const heard = probe.listen(() => { engine.noGrad(() => { engine.scope(() => { passageOf(model, golden).logits(false); }); }); });
  const read = await readAll(heard);
  if (!hasEncoder(model)) return judge(numbered(golden, { attentions: read }), PROBABILITIES);
  const rest = read.slice(encoderLayers(spec));
  // The decoder's blocks attend to themselves, then to the encoder.
  return judge(numbered(golden, { encoder_attentions: read.slice(0, encoderLayers(spec)), decoder_attentions: rest.filter((_, i) => i % 2 === 0), cross_attentions: rest.filter((_, i) => i % 2 === 1) }), PROBABILITIES);
}

const encoderLayers = (spec: Readonly<Record<string, unknown>>): number => (spec["encoder"] as { readonly layers: number }).layers;

/** Pairs what was heard with `name.0`, `name.1`, …; one more or one less than the reference has is an error. */
function numbered(golden: Safetensors, streams: Readonly<Record<string, readonly Float32Array[]>>): Held[] {
  return Object.entries(streams).flatMap(([name, all]) => {
    const count = golden.names.filter((one) => one.startsWith(`${name}.`)).length;
    if (count !== all.length) throw new Error(`the reference has ${count} tensors ${name}.N, the model made ${all.length}`);
    return all.map((got, i): Held => {
      const want = golden.get(`${name}.${i}`);
      return { name: `${name}.${i}`, got, want: want.numbers(), shape: want.shape };
    });
  });
}
