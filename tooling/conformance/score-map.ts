import type { Program } from "@polyhead/core";
import { program as seal, variablesOf } from "@polyhead/expr";
import { map, type Tensor } from "@polyhead/tensor";

/** Global positions of queries and keys; default: counted from 0. */
export interface Positions {
  readonly queries?: Int32Array<ArrayBuffer>;
  readonly keys?: Int32Array<ArrayBuffer>;
}

/** A `scoreMod` applied to scores `[B, H, Tq, Tk]` as an elementwise kernel, with no attention around it. */
export function mapScores(program: Program, scores: Tensor, { queries, keys }: Positions = {}): Tensor {
  const used = variablesOf(...program.outputs);
  // A program of places alone, or of nothing, still says something of every element.
  const vars = Object.fromEntries(Object.entries(program.vars).filter(([name]) => name === "score" || used.includes(name)));
  const along = (axis: number, places = Int32Array.from({ length: scores.shape[axis]! }, (_, i) => i)): Tensor =>
    scores.engine.tensor(places, scores.shape.map((n, i) => (i === axis ? n : 1)), { dtype: "i32" });
  const inputs: Readonly<Record<string, () => Tensor>> = { score: () => scores, b: () => along(0), h: () => along(1), q: () => along(2, queries), kv: () => along(3, keys) };
  return map(seal(vars, program.outputs), Object.fromEntries(Object.keys(vars).map((name) => [name, inputs[name]!()])));
}
