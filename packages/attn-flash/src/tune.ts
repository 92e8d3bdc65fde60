import { causal, full, type Mask } from "@polyhead/core";
import { tunerOf, type TuneRow } from "@polyhead/gpu";
import type { Engine, Tensor } from "@polyhead/tensor";
import { runDelta, runDkv, runDq } from "./backward.ts";
import { callOf } from "./call.ts";
import { candidates, FAMILY, reasons, shapesSeen, type FlashReason } from "./choose.ts";
import { choiceName } from "./defaults.ts";
import { runForward } from "./forward.ts";
import { refusal } from "./limits.ts";
import { inFours } from "./operands.ts";
import { shapeClass, type FlashShape } from "./shape.ts";
import type { FusedTemplate, Pass } from "./spec.ts";

/** A problem to tune for; what is left out is 1, `heads` or `d`. */
export interface FlashProblem {
  readonly batch?: number;
  readonly heads: number;
  readonly kvHeads?: number;
  readonly queries: number;
  readonly keys?: number;
  readonly d: number;
  readonly dv?: number;
  readonly half?: boolean;
}

export interface TuneFlashOptions {
  /** Time for all of it; what does not fit keeps the shipped choice. Default 20 s. */
  readonly budgetMs?: number;
  /** Passes to tune. Default all; forward alone is enough for inference. */
  readonly passes?: readonly Pass[];
  /** Default causal where queries and keys are equally many, else full. */
  readonly mask?: Mask;
  readonly onProgress?: (row: TuneRow, done: number, total: number) => void;
}

const asShape = ({ batch = 1, heads, kvHeads = heads, queries, keys = queries, d, dv = d, half = false }: FlashProblem): FlashShape => ({ batch, heads, kvHeads, queries, keys, d: inFours(d), dv: inFours(dv), half, hooked: false });

/**
 * Measures which template is fastest on this device for each class of shapes, and uses the winners from then on. Without
 * `problems`: for every class met so far, so one step of a program followed by this tunes that program. Wait for it at
 * start-up; attention itself never measures. `POLYHEAD_TUNE` (see gpu-node's `tuneOnDisk`) says whether, and remembers.
 */
export async function tuneFlash(engine: Engine, problems?: readonly FlashProblem[], { budgetMs = 20_000, passes = ["forward", "dq", "dkv"], mask, onProgress }: TuneFlashOptions = {}): Promise<TuneRow[]> {
  const tuner = tunerOf(engine.gpu);
  const shapes = new Map((problems?.map(asShape) ?? shapesSeen(engine.gpu)).map((shape) => [shapeClass(shape), shape]));
  // The costliest first: there the choice matters most, should the time run out.
  const queue = [...shapes.values()].sort((a, b) => work(b) - work(a)).flatMap((shape) => passes.map((pass) => ({ shape, pass })));
  const deadline = performance.now() + budgetMs;
  const rows: TuneRow[] = [];
  for (const [i, { shape, pass }] of queue.entries()) {
    const known = tuner.lookup(`${FAMILY} ${pass}`, shapeClass(shape));
    const left = deadline - performance.now();
    if (known === undefined && left <= 0) continue;
    const row = known ?? (await measure(engine, shape, pass, mask, left));
    if (row === undefined) continue;
    rows.push(row);
    onProgress?.(row, i + 1, queue.length);
  }
  return rows;
}

const work = ({ batch, heads, queries, keys, d, dv }: FlashShape): number => batch * heads * queries * keys * (d + dv);

async function measure(engine: Engine, shape: FlashShape, pass: Pass, mask: Mask | undefined, budgetMs: number): Promise<TuneRow | undefined> {
  const { batch, heads, kvHeads, queries, keys, d, dv, half } = shape;
  const tensors: Tensor[] = [];
  const keep = (x: Tensor): Tensor => {
    tensors.push(engine.keep(x));
    return x;
  };
  // Neither zeros nor denormals, on which some units are faster or slower than on numbers.
  const make = (h: number, t: number, size: number, dtype: "f32" | "f16" = half ? "f16" : "f32"): Tensor => keep(engine.full([batch, h, t, size], 0.125, dtype));
  try {
    const [q, k, v] = [make(heads, queries, d), make(kvHeads, keys, d), make(kvHeads, keys, dv)];
    const inputs = { q, k, v, scale: 1 / Math.sqrt(d), mask: mask ?? (queries === keys ? causal() : full()), qOffset: 0, kvOffset: 0, qk: [], score: [], dropout: 0 };
    const call = callOf(inputs, { q, k, v }, false);
    const packedCall = callOf(inputs, { q, k, v }, true);
    const g = make(heads, queries, dv, "f32");
    const ld = pass === "forward" ? g : keep(engine.scope(() => runDelta(call, { o: g, lse: engine.zeros([batch, heads, queries]), g, dlse: undefined, learns: false }).ld));
    const backward = { call, g, ld };
    const run: Record<Pass, (template: FusedTemplate, splits: number, packed: boolean) => void> = {
      forward: (template, splits, packed) => { engine.scope(() => void runForward(packed ? packedCall : call, template, splits)); },
      dq: (template) => { engine.scope(() => void runDq(backward, template)); },
      dkv: (template) => { engine.scope(() => void runDkv(backward, template)); },
    };
    const tasks = candidates(engine.gpu, shape, pass).flatMap((choice) => {
      const { template, splits, packed } = choice;
      if (template.kind === "unfused") return [];
      return [{ name: choiceName(choice), run: () => { engine.noGrad(() => { run[pass](template, splits, packed); }); }, unsupported: refusal(template, shape, engine.gpu.caps, pass) }];
    });
    if (tasks.every(({ unsupported }) => unsupported !== undefined)) return undefined;
    return await tunerOf(engine.gpu).measure({ family: `${FAMILY} ${pass}`, shape: shapeClass(shape), candidates: tasks }, { budgetMs });
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** How every class of problems met so far is computed on this device, and the measurements behind it. */
export const explainFlash = (engine: Engine): FlashReason[] => shapesSeen(engine.gpu).flatMap((shape) => reasons(engine.gpu, shape));
