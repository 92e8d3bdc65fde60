import { array64, full, referenceAttention, referenceGradients, scoreHook, type Array64, type Capture, type Mask, type Program } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import { assertClose, FORWARD, GRADIENT, uniform } from "@polyhead/testkit";
import { createBlockMask, flexAttention } from "../src/index.ts";

/** A small attention: sizes, who sees whom, and what acts on scores. */
export interface Case {
  readonly batch?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly queries?: number;
  readonly keys?: number;
  readonly size?: number;
  readonly mask?: Mask;
  readonly scoreMod?: Program;
  readonly qOffset?: number;
  readonly kvOffset?: number;
}

/** Numbers of q, k, v and of the output's gradient. */
export function numbersOf({ batch = 1, heads = 2, kvHeads = heads, queries = 50, keys = 70, size = 8 }: Case): Readonly<Record<"q" | "k" | "v" | "g", Array64>> {
  const of = (seed: number, shape: readonly number[]): Array64 => array64(Float64Array.from(uniform(shape.reduce((a, b) => a * b), seed)), [...shape]);
  return { q: of(1, [batch, heads, queries, size]), k: of(2, [batch, kvHeads, keys, size]), v: of(3, [batch, kvHeads, keys, size]), g: of(4, [batch, heads, queries, size]) };
}

/** As tensors that gather gradients. */
export function tensorsOf(engine: Engine, problem: Case): Readonly<Record<"q" | "k" | "v" | "g", Tensor>> {
  const numbers = Object.entries(numbersOf(problem)).map(([name, { data, shape }]) => [name, engine.tensor(data, shape, { requiresGrad: name !== "g" })]);
  return Object.fromEntries(numbers) as Record<"q" | "k" | "v" | "g", Tensor>;
}

/** Output, log-sum-exp and all gradients over blocks of 16 × 32, told apart as if for a long sequence, against float64. */
export async function expectReference(engine: Engine, problem: Case, learned: readonly Capture[] = []): Promise<void> {
  const { mask = full(), scoreMod, qOffset = 0, kvOffset = 0 } = problem;
  const { q, k, v, g } = numbersOf(problem);
  const hooks = scoreMod === undefined ? [] : [scoreHook({ id: "mod", program: scoreMod })];
  const inputs = { q, k, v, mask, score: hooks, qOffset, kvOffset };
  const want = referenceAttention(inputs);
  const gradients = referenceGradients(inputs, g);

  const tensors = tensorsOf(engine, problem);
  const tables = Object.fromEntries(learned.map(({ name, data, shape }) => [name, engine.tensor(data, shape, { requiresGrad: true })]));
  const [batch = 1, heads = 1, queries = 1] = q.shape;
  const reads = { batch: mask.kind === "document" && mask.ids.shape.length === 2 ? batch : 1, heads: scoreMod === undefined ? heads : 1 };
  const blockMask = createBlockMask(engine, mask, { ...reads, queries, keys: k.shape[2]!, queryBlock: 16, keyBlock: 32, qOffset, kvOffset });
  const { o, lse } = flexAttention({ ...tensors, blockMask, tables, qOffset, kvOffset, ...(scoreMod && { scoreMod }) });
  o.backward(tensors.g);
  assertClose(await o.read(), want.o.data, { rule: FORWARD, label: "o" });
  const [got, expected] = [await lse.read(), want.lse.data].map((rows) => [...rows].map((x) => (x === -Infinity ? -1e3 : x))) as [number[], number[]];
  assertClose(got, expected, { rule: FORWARD, label: "lse" });
  for (const name of ["q", "k", "v"] as const) assertClose(await tensors[name].grad!.read(), gradients[name].data, { rule: GRADIENT, label: `d${name}` });
  for (const capture of learned) assertClose(await tables[capture.name]!.grad!.read(), gradients.captures.get(capture)!.data, { rule: GRADIENT, label: `d${capture.name}` });
}
