import { flashAttention, explainFlash, shapeClass, tuneFlash } from "@polyhead/attn-flash/kernel";
import { alibi, createBlockMask, documents, flexAttention, relativeTable, softcap, type BlockMask, type MaskChoice, type ScoreMod } from "@polyhead/attn-flex";
import { and, causal, maskMod, type Mask, type Program } from "@polyhead/core";
import { createEngine, type Engine, type Tensor } from "@polyhead/tensor";
import { BLOCK, documentIds, type FlexProblem, type FlexShape, type Modifier } from "../cases/flex-problem.ts";
import type { Contender, Facts } from "../contender.ts";
import { ourGpu } from "./gpu.ts";

/** What a call is given beside the tensors of the problem, made once. */
interface Prepared {
  readonly blockMask?: BlockMask;
  readonly run: (q: Tensor, k: Tensor, v: Tensor, table: Tensor | undefined) => Tensor;
}

/** A way of ours to compute a case. */
interface Way {
  readonly name: string;
  readonly prepare: (engine: Engine, problem: FlexProblem) => Prepared;
}

/** Who takes part in a case. */
export function ourFlex({ kind, modifier }: FlexShape): Contender<FlexProblem>[] {
  if (kind === "build") return [builder("build on the GPU", "gpu"), builder("build", "auto")];
  switch (modifier.kind) {
    case "causal":
      return kind === "forward" ? [attention(flash), attention(flex), attention(flexBlocks)] : [attention(flash), attention(flex)];
    case "window":
      return [attention(flex), attention(flexBlocks)];
    case "documents":
      return [attention(flexBlocks, "flex")];
    default:
      return [attention(flex)];
  }
}

/** The mask as a user of flex writes it. */
function maskOf(modifier: Modifier): Mask | Program {
  switch (modifier.kind) {
    case "causal":
      return maskMod`kv <= q`;
    case "window":
      return maskMod`kv <= q && q - kv < ${modifier.size}`;
    case "documents":
      return and(causal(), documents(documentIds(modifier.lengths)));
    default:
      return causal();
  }
}

function scoreModOf({ modifier, heads }: FlexShape): ScoreMod | undefined {
  switch (modifier.kind) {
    case "alibi":
      return alibi(heads);
    case "softcap":
      return softcap(modifier.cap);
    case "relative":
      return relativeTable({ heads, reach: modifier.reach, name: "relative" });
    default:
      return undefined;
  }
}

const flash: Way = {
  name: "flash",
  prepare: (_, { headDim }) => {
    const mask = causal();
    return { run: (q, k, v) => flashAttention({ q, k, v, scale: 1 / Math.sqrt(headDim), mask, qOffset: 0, kvOffset: 0, qk: [], score: [], dropout: 0 }).o };
  },
};

const runFlex = (problem: FlexProblem, choice: MaskChoice): Prepared => {
  const scoreMod = scoreModOf(problem);
  return { run: (q, k, v, table) => flexAttention({ q, k, v, ...choice, ...(scoreMod && { scoreMod }), ...(table && { tables: { relative: table } }) }).o };
};

/** The mask as it is: flex tells of its own accord whether lists of blocks are worth it. */
const flex: Way = { name: "flex", prepare: (_, problem) => runFlex(problem, { mask: maskOf(problem.modifier) }) };

const flexBlocks: Way = {
  name: "flex by block lists",
  prepare: (engine, problem) => {
    const blockMask = createBlockMask(engine, maskOf(problem.modifier), { queries: problem.size, keys: problem.size, queryBlock: BLOCK, keyBlock: BLOCK });
    return { ...runFlex(problem, { blockMask }), blockMask };
  },
};

function attention({ name, prepare }: Way, called = name): Contender<FlexProblem> {
  return {
    name: called,
    role: "ours",
    async setup(problem) {
      const { kind, heads, headDim: d, size, calls, table, modifier } = problem;
      const gpu = await ourGpu();
      const engine = createEngine(gpu);
      const requiresGrad = kind === "backward";
      const [q, k, v] = [problem.q, problem.k, problem.v].map((data) => engine.tensor(data, [1, heads, size, d], { requiresGrad })) as [Tensor, Tensor, Tensor];
      const learned = table.length === 0 ? undefined : engine.tensor(table, [heads, table.length / heads], { requiresGrad });
      const upstream = requiresGrad ? engine.tensor(problem.grad, [1, heads, size, d]) : undefined;
      const { run, blockMask } = prepare(engine, problem);
      const forward = (): Tensor => engine.scope(() => run(q, k, v, learned));
      const once = (): readonly Tensor[] => {
        const results = upstream === undefined ? [engine.noGrad(forward)] : gradients(upstream);
        engine.flush();
        return results;
      };
      const gradients = (grad: Tensor): readonly Tensor[] => {
        const o = forward();
        o.backward(grad);
        o.dispose();
        return [q, k, v, ...(learned ? [learned] : [])].map((input) => {
          const gradient = input.grad!.alias();
          input.zeroGrad();
          return gradient;
        });
      };
      const release = (tensors: readonly Tensor[]): void => { for (const tensor of tensors) tensor.dispose(); };
      const shape = { heads, kvHeads: heads, queries: size, keys: size, d };
      await tuneFlash(engine, [shape], { budgetMs: 60_000, ...(!requiresGrad && { passes: ["forward"] }) });
      const blocks = await blockMask?.sparsity();
      return {
        async run() {
          for (let call = 1; call < calls; call++) release(once());
          const last = once();
          const read: Float32Array[] = [];
          for (const tensor of last) read.push((await tensor.read()) as Float32Array);
          release(last);
          return read;
        },
        facts: (): Facts => ({
          ...(blocks && { "full blocks": blocks.full, "partial blocks": blocks.partial, "blocks left out": blocks.empty }),
          ...templates(engine, shape, modifier, requiresGrad),
        }),
        close() {
          blockMask?.dispose();
          release([q, k, v, ...(learned ? [learned] : []), ...(upstream ? [upstream] : [])]);
          gpu.trim();
        },
      };
    },
  };
}

/** The templates of each pass, where scores are modified and where they are not. */
function templates(engine: Engine, shape: { readonly heads: number; readonly kvHeads: number; readonly queries: number; readonly keys: number; readonly d: number }, modifier: Modifier, backward: boolean): Facts {
  const hooked = modifier.kind !== "causal" && modifier.kind !== "window";
  const mine = shapeClass({ batch: 1, ...shape, dv: shape.d, half: false, hooked });
  const passes = explainFlash(engine).filter((reason) => reason.shape === mine && (backward || reason.pass === "forward"));
  return Object.fromEntries(passes.map(({ pass, choice, source }) => [pass, `${choice} (${source})`]));
}

/** Tells the blocks of a mask apart anew in each repetition. */
function builder(name: string, by: "gpu" | "auto"): Contender<FlexProblem> {
  return {
    name,
    role: "ours",
    async setup({ modifier, size }) {
      const engine = createEngine(await ourGpu());
      const mask = maskOf(modifier);
      let classifiedBy = "";
      return {
        async run() {
          const blockMask = createBlockMask(engine, mask, { queries: size, keys: size, queryBlock: BLOCK, keyBlock: BLOCK, by });
          const states = Float32Array.from(await blockMask.states());
          ({ classifiedBy } = blockMask);
          blockMask.dispose();
          return states;
        },
        facts: () => ({ "told apart by": classifiedBy }),
      };
    },
  };
}
