import { localCommunicators } from "@polyhead/comm-local";
import type { BoundHook, Capture, KernelInputs, Mask, Program, ScoreHook } from "@polyhead/core";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import { Gpu } from "@polyhead/gpu";
import { giveWay, openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, pairwise, sum, type Engine, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { positionsOf, ring, type RingLayout, type RingOptions } from "../src/index.ts";

/** One attention problem of whole sequences. */
export interface WholeProblem {
  readonly batch?: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly d: number;
  readonly dv?: number;
  readonly length: number;
  readonly mask: Mask;
  readonly score?: readonly ScoreHook[];
  readonly dtype?: "f32" | "f16";
  readonly starts?: readonly number[];
  readonly lengths?: readonly number[];
  /** Turns pairs of q and k by their positions beforehand. */
  readonly rotation?: Program;
}

export interface Results {
  readonly o: Float32Array;
  readonly lse: Float32Array;
  readonly dq: Float32Array;
  readonly dk: Float32Array;
  readonly dv: Float32Array;
  readonly learned: readonly Float32Array[];
}

interface Rows {
  readonly data: Float32Array;
  readonly shape: readonly [B: number, H: number, T: number, D: number];
}

interface Data {
  readonly q: Rows;
  readonly k: Rows;
  readonly v: Rows;
  readonly dO: Rows;
  readonly dLse: Rows;
}

const LEARNED_SEED = 77;

function dataOf({ batch = 1, heads, kvHeads, d, dv = d, length }: WholeProblem): Data {
  const rows = (seed: number, H: number, D: number): Rows => ({ data: uniform(batch * H * length * D, seed), shape: [batch, H, length, D] });
  return { q: rows(1, heads, d), k: rows(2, kvHeads, d), v: rows(3, kvHeads, dv), dO: rows(4, heads, dv), dLse: rows(5, heads, 1) };
}

/** The rows at some positions. */
export function pick({ data, shape: [B, H, T, D] }: Rows, positions: Uint32Array): Rows {
  const out = new Float32Array(B * H * positions.length * D);
  for (let bh = 0; bh < B * H; bh++) positions.forEach((t, i) => { out.set(data.subarray((bh * T + t) * D, (bh * T + t + 1) * D), (bh * positions.length + i) * D); });
  return { data: out, shape: [B, H, positions.length, D] };
}

/** Puts rows where they belong in the whole. */
function place(part: Float32Array, into: Rows, positions: Uint32Array): void {
  const [B, H, T, D] = into.shape;
  for (let bh = 0; bh < B * H; bh++) positions.forEach((t, i) => { into.data.set(part.subarray((bh * positions.length + i) * D, (bh * positions.length + i + 1) * D), (bh * T + t) * D); });
}

const learnedOf = ({ score = [] }: WholeProblem): Capture[] => [...new Set(score.flatMap(({ program }) => program.captures.filter(({ learned }) => learned)))];

/** Forward and backward on one engine. */
async function run(engine: Engine, problem: WholeProblem, data: Data, positions: Uint32Array, attention: (inputs: KernelInputs<Tensor>) => { readonly o: Tensor; readonly lse: Tensor }): Promise<Results> {
  const { mask, score = [], dtype = "f32", d, starts, lengths, rotation } = problem;
  const leaf = ({ data: numbers, shape }: Rows): Tensor => engine.tensor(numbers, shape, { requiresGrad: true });
  const [q, k, v] = [leaf(data.q), leaf(data.k), leaf(data.v)];
  const tables = new Map(learnedOf(problem).map((capture, n) => [capture, engine.tensor(uniform(capture.data.length, LEARNED_SEED + n), capture.shape, { requiresGrad: true })]));
  const bound = (hook: ScoreHook): BoundHook<Tensor, ScoreHook> => ({ hook, params: Object.fromEntries(hook.program.captures.filter(({ learned }) => learned).map((capture) => [capture.name, tables.get(capture)!])) });
  const { o, lse } = engine.scope(() => {
    const stored = (x: Tensor): Tensor => (dtype === "f16" ? cast(x, "f16") : x);
    const turned = (x: Tensor): Tensor => (rotation === undefined ? x : pairwise(x, rotation, { layout: "half", rotaryDim: d, positions: engine.tensor([...positions], [1, positions.length], { dtype: "u32" }) }));
    const limit = (rows: readonly number[]): Tensor => engine.tensor(rows, [rows.length], { dtype: "i32" });
    const out = attention({
      q: stored(turned(q)), k: stored(turned(k)), v: stored(v), mask, scale: 1 / Math.sqrt(d), qOffset: 0, kvOffset: 0, qk: [], score: score.map(bound), dropout: 0,
      ...(starts && { starts: limit(starts) }), ...(lengths && { lengths: limit(lengths) }),
    });
    const weighed = (x: Tensor, { data: weights }: Rows): Tensor => sum(mul(x, engine.tensor(weights, x.shape)));
    add(weighed(out.o, data.dO), weighed(out.lse, data.dLse)).backward();
    return out;
  });
  const all = await Promise.all([o, lse, q.grad!, k.grad!, v.grad!, ...[...tables.values()].map((table) => table.grad!)].map((x) => x.read()));
  for (const x of [o, lse, q, k, v, ...tables.values()]) {
    x.zeroGrad();
    x.dispose();
  }
  const [outO, outLse, dq, dk, dv, ...learned] = all as Float32Array[];
  return { o: outO!, lse: outLse!, dq: dq!, dk: dk!, dv: dv!, learned };
}

export interface TogetherOptions extends Omit<RingOptions, "communicator" | "layout"> {
  readonly layout: RingLayout;
  /** What the kernel is told instead: a fault. */
  readonly taken?: RingLayout;
}

/** One engine a rank, opened as they are needed: on one device, whose pipelines then are compiled once, or on a device each. */
export class World {
  readonly #engines: Engine[] = [];
  readonly #apart: boolean;

  constructor({ apart = false }: { readonly apart?: boolean } = {}) {
    this.#apart = apart;
  }

  async engines(ranks: number): Promise<Engine[]> {
    while (this.#engines.length < ranks) this.#engines.push(createEngine(await this.#gpu()));
    return this.#engines.slice(0, ranks);
  }

  async #gpu(): Promise<Gpu> {
    const options = { limits: "default", features: "none", poison: true } as const;
    const first = this.#engines[0]?.gpu;
    if (first === undefined || this.#apart) return openNodeGpu(options);
    return new Gpu(first.device, first.device.adapterInfo, { poison: true, onWait: giveWay });
  }

  /** What one device finds. */
  async alone(problem: WholeProblem): Promise<Results> {
    const [engine] = await this.engines(1);
    return run(engine!, problem, dataOf(problem), positionsOf("contiguous", 0, 1, problem.length), (inputs) => flashAttention(inputs));
  }

  /** What ranks find together, put together: rows where they belong, learned tables summed. */
  async together(problem: WholeProblem, ranks: number, options: TogetherOptions): Promise<Results & { readonly sentBytes: readonly number[] }> {
    const engines = await this.engines(ranks);
    const comms = localCommunicators(ranks, { timeoutMs: 60_000 });
    const data = dataOf(problem);
    const { layout, taken = layout, ...rest } = options;
    const parts = await Promise.all(comms.map(async (communicator) => {
      const positions = positionsOf(layout, communicator.rank, ranks, problem.length);
      const kernel = ring({ length: problem.length, ...rest, layout: taken, communicator });
      const mine = Object.fromEntries(Object.entries(data).map(([name, rows]) => [name, pick(rows as Rows, positions)])) as unknown as Data;
      return { positions, found: await run(engines[communicator.rank]!, problem, mine, positions, (inputs) => kernel.run(inputs)) };
    }));
    const whole = (name: "o" | "lse" | "dq" | "dk" | "dv", like: Rows): Float32Array => {
      const into: Rows = { data: new Float32Array(like.data.length), shape: like.shape };
      for (const { positions, found } of parts) place(found[name], into, positions);
      return into.data;
    };
    const learned = learnedOf(problem).map((_, n) => parts.map(({ found }) => found.learned[n]!).reduce((a, b) => a.map((x, i) => x + b[i]!)));
    return { o: whole("o", data.dO), lse: whole("lse", data.dLse), dq: whole("dq", data.q), dk: whole("dk", data.k), dv: whole("dv", data.v), learned, sentBytes: comms.map(({ traffic }) => traffic.sentBytes) };
  }

  dispose(): void {
    for (const { gpu } of this.#engines.reverse()) gpu.dispose();
  }
}

/** Greatest difference of any number, beside the greatest number where that is above 1; infinite numbers must be equal. */
export function greatestError(got: Results, want: Results): number {
  const pairs = [...(["o", "lse", "dq", "dk", "dv"] as const).map((name) => [got[name], want[name]] as const), ...want.learned.map((table, n) => [got.learned[n]!, table] as const)];
  return Math.max(...pairs.map(([a, b]) => {
    const largest = b.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1);
    return a.reduce((most, x, i) => (x === b[i] ? most : Number.isNaN(x - b[i]!) ? Infinity : Math.max(most, Math.abs(x - b[i]!) / largest)), 0);
  }));
}
