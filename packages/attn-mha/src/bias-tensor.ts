import { full, type BoundHook, type Count, type Mask, type ScoreHook } from "@polyhead/core";
import { attach, type Engine, type Tensor } from "@polyhead/tensor";
import { learnedTables } from "./kernels/capture-gradient.ts";
import { watchScores } from "./score-anomalies.ts";
import { gradientsOfTables, scalarsOf, scoresByStage } from "./score-softmax.ts";
import { scoreProgram } from "./score-program.ts";
import { gatherTables, learnedTensors } from "./tables.ts";

export interface BiasOptions {
  /** `[B, Hq, Tq, Tk]`. */
  readonly shape: readonly number[];
  readonly qOffset: Count;
  readonly kvOffset: Count;
  /** Of the attention that takes the bias: a hook need not be defined where no key is allowed. Default full. */
  readonly mask?: Mask;
}

const everywhere = full();

/**
 * Additive score hooks as one bias tensor, for kernels that do not take them inline: f(b, h, q, kv) of `score + f`, summed
 * over the hooks. Learned tables get their gradient.
 */
export function biasOfHooks(engine: Engine, hooks: readonly BoundHook<Tensor, ScoreHook>[], { shape, qOffset, kvOffset, mask = everywhere }: BiasOptions): Tensor {
  const inputs = { mask: everywhere, qOffset, kvOffset, score: hooks };
  return engine.scope(() => {
    if (engine.anomalies !== undefined) watchScores(engine.noGrad(() => engine.zeros(shape)), { ...inputs, mask });
    const program = scoreProgram(everywhere, hooks.map(({ hook }) => hook));
    const learned = learnedTensors(hooks);
    const tables = gatherTables(engine, program.tables, learned);
    const { modified } = engine.noGrad(() => scoresByStage(engine.zeros(shape), inputs));
    const taught = learnedTables(program).map((capture) => learned.get(capture)!);
    if (taught.length === 0) return modified;
    const scalars = scalarsOf(modified, inputs, tables);
    const kept = Object.entries({ floats: tables.floats, ints: tables.ints }).flatMap(([name, tensor]) => (tensor === undefined ? [] : [[name, tensor] as const]));
    // Cells that the mask forbids may hold NaN, so the anomaly mode looks at the hooks instead, above.
    return attach(modified, {
      name: "the bias of score hooks",
      inputs: taught,
      saves: kept.map(([, tensor]) => tensor),
      backward: (g, saved) => gradientsOfTables(program, Object.fromEntries(kept.map(([name], i) => [name, saved[i]!])), g.contiguous(), scalars, taught),
    });
  });
}
