import { derivative, formula, isPolyheadError, type BoundHook, type Program, type ScoreHook } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import { indexIn, map, type Finding, type Tensor } from "@polyhead/tensor";
import { scoresByStage, type ScoreInputs } from "./score-softmax.ts";

type Bound = BoundHook<Tensor, ScoreHook>;

/** The slope where the score before is that of an allowed key; what a forbidden key has does no harm. */
const atAllowed = formula({ before: "f32", slope: "f32" })`before < -3.0e38 ? 0.0 : slope`;

const slopes = new WeakMap<Program, Program>();

/** ∂hook/∂score at the score that the hook is given. */
function slopeOf(program: Program): Program {
  let slope = slopes.get(program);
  if (slope === undefined) slopes.set(program, (slope = derivative(program, "score")));
  return slope;
}

/**
 * For the anomaly mode of the engine: walks over bias and score hooks in their order, so that the one that makes NaN of a
 * clean score, at a key that the mask allows, is named with the cell and the score it was given. A slope that is not finite is
 * named where the backward pass makes NaN. Takes arrays of `[B, Hq, Tq, Tk]`; nothing is done outside of the mode.
 *
 * @param scores  scale · q kᵀ `[B, Hq, Tq, Tk]`
 */
export function watchScores(scores: Tensor, inputs: ScoreInputs): void {
  const { engine, shape } = scores;
  const watch = engine.anomalies;
  if (watch === undefined) return;
  const learning = engine.gradEnabled;
  engine.noGrad(() => {
    engine.scope(() => {
      const { bias, ...unbiased } = inputs;
      const after = (count: number, given: ScoreInputs = inputs): Tensor => watch.unwatched(() => scoresByStage(scores, { ...given, score: inputs.score.slice(0, count) }).masked);
      const cell = cellOf(shape, inputs);
      let before = after(0, unbiased);
      if (bias !== undefined) {
        const output = after(0);
        watch.suspect({ output, inputs: [before], given: before, tell: (at, score) => cell(at, score).biased }, "the bias of the scores");
        before = output;
      }
      inputs.score.forEach(({ hook }, n) => {
        const name = `score hook '${hook.id}'`;
        if (learning && !hook.additive) {
          const output = watch.unwatched(() => map(atAllowed, { before, slope: slopesAt(scores, inputs, n) }));
          watch.suspect({ output, inputs: [before], given: before, bad: "infinite", only: "backward", tell: (at, score) => cell(at, score).steep(name) }, name);
        }
        const output = after(n + 1);
        watch.suspect({ output, inputs: [before], given: before, tell: (at, score) => cell(at, score).broken(name, hook) }, name);
        before = output;
      });
    });
  });
}

function slopesAt(scores: Tensor, inputs: ScoreInputs, n: number): Tensor {
  const { hook, params } = inputs.score[n]!;
  const slope: Bound = { hook: { ...hook, program: slopeOf(hook.program) }, params };
  return scoresByStage(scores, { ...inputs, score: [...inputs.score.slice(0, n), slope] }).modified;
}

interface Cell {
  readonly biased: Finding;
  steep(name: string): Finding;
  broken(name: string, hook: ScoreHook): Finding;
}

function cellOf(shape: readonly number[], { qOffset, kvOffset }: ScoreInputs): (flat: number, score: number) => Cell {
  const [q0, kv0] = [numberOf(qOffset), numberOf(kvOffset)];
  return (flat, score) => {
    const [b = 0, h = 0, i = 0, j = 0] = indexIn(shape, flat);
    const at = { b, h, q: q0 + i, kv: kv0 + j };
    const place = `b=${at.b} h=${at.h} q=${at.q} kv=${at.kv} from score ${score}`;
    return {
      biased: { message: `the bias gave NaN at ${place}`, fix: "look at the numbers of the bias at that cell" },
      steep: (name) => ({ message: `${name} has a slope that is not finite at ${place}, and the backward pass made NaN of it`, fix: "keep roots and quotients away from 0, by max(…, ε) under the root" }),
      broken: (name, hook) => {
        const outside = reasonOf(hook, score, at);
        return {
          message: `${name} gave NaN at ${place}${outside === undefined ? "" : `: ${outside.message}`}`,
          fix: outside?.fix ?? "make it defined for every score and position that the mask allows",
        };
      },
    };
  };
}

/** What the oracle says of that cell: it names the table and the index that a kernel reads as NaN. */
function reasonOf(hook: ScoreHook, score: number, at: Parameters<ScoreHook["reference"]>[1]): Finding | undefined {
  try {
    hook.reference(score, at);
    return undefined;
  } catch (error) {
    if (!isPolyheadError(error, "EXPR_BOUNDS")) return undefined;
    const summary = "summary" in error && typeof error.summary === "string" ? error.summary : error.message;
    return { message: summary, fix: error.fix };
  }
}
