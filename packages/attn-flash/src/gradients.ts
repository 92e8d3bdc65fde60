import { PolyheadError, type Capture, type KernelInputs } from "@polyhead/core";
import { cutTables, learnedTables, learnedTensors } from "@polyhead/attn-mha/kernel";
import { sumTo, type Tensor } from "@polyhead/tensor";
import { runDelta, runDkv, runDq, runDs, runLearn } from "./backward.ts";
import { callOf, readable, type Call } from "./call.ts";
import { choose, type FlashChoice } from "./choose.ts";
import { asRows, cutHead, padHead } from "./operands.ts";
import { pullBack } from "./pull-back.ts";
import { shapeOf } from "./shape.ts";
import { isFused, type FusedTemplate } from "./spec.ts";

/** What backward knows of the rows of q beside the inputs. */
export interface RowResults {
  /** `[B, Hq, Tq, Dv]`. */
  readonly o: Tensor;
  /** `[B, Hq, Tq]`. */
  readonly lse: Tensor;
  /** Gradient of o; default zeros. */
  readonly dO?: Tensor | undefined;
  /** Gradient of lse; default zeros. */
  readonly dLse?: Tensor | undefined;
}

/** Which gradients are asked for. */
export interface Wanted {
  readonly q: boolean;
  readonly k: boolean;
  readonly v: boolean;
  readonly bias: boolean;
  /** Tables that score hooks learn. */
  readonly learned: boolean;
}

export interface FlashGradients {
  readonly dq: Tensor | undefined;
  readonly dk: Tensor | undefined;
  readonly dv: Tensor | undefined;
  readonly dBias: Tensor | undefined;
  readonly learned: ReadonlyMap<Capture, Tensor>;
}

/** Templates of the passes over queries and over keys. */
export type BackwardTemplates = readonly [dq: FusedTemplate, dkv: FusedTemplate];

/** The gradients of a call, whose heads are in fours as {@link readable} makes them. */
export function gradientsOf(call: Call, inputs: KernelInputs<Tensor>, { o, lse, dO, dLse }: RowResults, [dqTemplate, dkvTemplate]: BackwardTemplates, wanted: Wanted): FlashGradients {
  const { engine } = call.q;
  const { bias } = call;
  const back: Call = { ...call, form: { ...call.form, packed: false }, scalars: { ...call.scalars, rows: call.Tq } };
  const g = asRows(dO ?? engine.zeros(o.shape));
  const { ld, rows } = runDelta(back, { o, lse, g, dlse: dLse, learns: wanted.learned });
  const backward = { call: back, g, ld };
  const dq = wanted.q ? pullBack(runDq(backward, dqTemplate), "q", inputs, call.q) : undefined;
  const { dk, dv } = wanted.k || wanted.v ? runDkv(backward, dkvTemplate) : {};
  const dBias = bias && wanted.bias ? sumTo(runDs(backward, dqTemplate), bias.shape) : undefined;
  return {
    dq,
    dk: wanted.k && dk ? pullBack(dk, "k", inputs, call.k) : undefined,
    dv: wanted.v ? dv : undefined,
    dBias,
    learned: rows ? taughtBy(call, inputs, runLearn(backward, rows, dqTemplate)) : new Map(),
  };
}

/** What tables learn, by capture, from their gradients end to end. */
function taughtBy({ form }: Call, { score }: KernelInputs<Tensor>, numbers: Tensor): Map<Capture, Tensor> {
  const tensors = learnedTensors(score);
  const captures = learnedTables(form.program);
  const parts = cutTables(numbers, captures.map((capture) => tensors.get(capture)!));
  return new Map(captures.map((capture, n) => [capture, parts[n]!]));
}

/**
 * The gradients of attention whose rows were finished elsewhere: o, lse and their gradients are those of the whole softmax,
 * while k and v may be a part of its keys. The parts' gradients add up to those of the whole: dq over the parts of keys, dk and
 * dv over the parts of queries (Liu et al., 2023, arXiv:2310.01889, with the backward pass of FlashAttention-2).
 *
 * Shapes as in `flashAttention`; gradients are f32 and of the shapes of what they belong to. Nothing goes on the tape.
 *
 * @throws PolyheadError `ATTN_SHAPE`, `ATTN_TABLE`, `ATTN_HOOK`; `ATTN_HEAD` where no fused template takes heads so large.
 */
export function flashGradients(inputs: KernelInputs<Tensor>, { o, lse, dO, dLse }: RowResults, wanted: Wanted, templates: Partial<FlashChoice> = {}): FlashGradients {
  const { engine } = inputs.q;
  const [{ shape: [, , , d = 0] }, { shape: [, , , dv = 0] }] = [inputs.q, inputs.v];
  return engine.noGrad(() => {
    const ready = readable(inputs);
    const choice = { ...choose(engine.gpu, shapeOf(inputs, ready)), ...templates };
    const [dq, dkv] = [choice.dq.template, choice.dkv.template];
    if (!isFused(dq) || !isFused(dkv)) throw new PolyheadError("ATTN_HEAD", `heads of ${d} and ${dv} are too large for the fused backward pass on this device`, "use smaller heads, or the 'reference' kernel on one device");
    const found = gradientsOf(callOf(inputs, ready, false), inputs, { o: asRows(padHead(o)), lse: lse.contiguous(), dO: dO && padHead(dO), dLse }, [dq, dkv], wanted);
    const cut = (x: Tensor | undefined, size: number): Tensor | undefined => x && cutHead(x, size);
    return { ...found, dq: cut(found.dq, d), dk: cut(found.dk, d), dv: cut(found.dv, dv) };
  });
}
