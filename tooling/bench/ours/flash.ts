import { explainFlash, flashAttention, shapeClass, tuneFlash } from "@polyhead/attn-flash/kernel";
import { unfusedAttention } from "@polyhead/attn-mha/kernel";
import type { KernelInputs, KernelOutputs } from "@polyhead/core";
import { tuneMatmul, type Engine, type Tensor } from "@polyhead/tensor";
import type { AttentionProblem } from "../cases/attention-problem.ts";
import type { Facts } from "../contender.ts";

/** A kernel of ours, what is done once before it is used, and what it says of itself. */
export interface AttentionKernel {
  readonly name: string;
  run(inputs: KernelInputs<Tensor>): KernelOutputs<Tensor>;
  /** Measures what is fastest for a problem; `call` runs it once. */
  tune(engine: Engine, problem: AttentionProblem, call: () => void): Promise<unknown>;
  facts?(engine: Engine, problem: AttentionProblem): Facts;
}

const budgetMs = 60_000;

export const flash: AttentionKernel = {
  name: "polyhead flash",
  run: (inputs) => flashAttention(inputs),
  tune: (engine, { kind, heads, kvHeads, queries, keys, headDim: d }) =>
    tuneFlash(engine, [{ heads, kvHeads, queries, keys, d }], { budgetMs, ...(kind !== "backward" && { passes: ["forward"] }) }),
  facts(engine, { kind, heads, kvHeads, queries, keys, headDim: d }) {
    const mine = shapeClass({ batch: 1, heads, kvHeads, queries, keys, d, dv: d, half: false, hooked: false });
    const passes = explainFlash(engine).filter(({ shape, pass }) => shape === mine && (kind === "backward" || pass === "forward"));
    return Object.fromEntries(passes.map(({ pass, choice, source }) => [pass, `${choice} (${source})`]));
  },
};

export const unfused: AttentionKernel = {
  name: "polyhead unfused",
  run: unfusedAttention,
  async tune(engine, _, call) {
    // A call shows the tuner which products there are.
    call();
    await tuneMatmul(engine, undefined, { budgetMs });
  },
};
