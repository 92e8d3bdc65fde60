import { tunerOf, type TuneRow } from "@polyhead/gpu";
import type { Engine } from "../engine.ts";
import { allTemplates, defaultTemplate, FAMILY, shapeClass, shapesSeen, unsupported, type MatmulShape } from "../kernels/matmul/choose.ts";
import { product } from "../kernels/matmul/run.ts";
import { templateName } from "../kernels/matmul/spec.ts";
import type { Tensor } from "../tensor.ts";

/** A product to tune for; what is left out is 1 or false. Transposes name the storage, as in `matmul`. */
export interface MatmulProblem {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batches?: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly half?: boolean;
}

export interface TuneMatmulOptions {
  /** Time for all of it; what does not fit keeps the built-in choice. Default 10 s. */
  readonly budgetMs?: number;
  readonly onProgress?: (row: TuneRow, done: number, total: number) => void;
}

/** How one class of products is run here, and why. */
export interface MatmulChoice {
  readonly shape: string;
  readonly template: string;
  readonly source: "measured" | "store" | "default";
  /** Of the winner, where it was measured. */
  readonly ms?: number;
  /** All times, fastest first. */
  readonly timings: TuneRow["timings"];
}

const asShape = ({ m, n, k, batches = 1, transA = false, transB = false, half = false }: MatmulProblem): MatmulShape => {
  const aligned = [transA ? m : k, transB ? k : n, n].every((length) => length % 4 === 0);
  return { m, n, k, batches, transA, transB, half, aligned };
};

/**
 * Measures which matmul kernel is fastest on this device for each class of shapes, and uses the winners from then on.
 * Without `problems`: for every class met so far, so one step of a program followed by this tunes that program.
 * Wait for it at start-up; operators never measure by themselves.
 */
export async function tuneMatmul(engine: Engine, problems?: readonly MatmulProblem[], { budgetMs = 10_000, onProgress }: TuneMatmulOptions = {}): Promise<TuneRow[]> {
  const tuner = tunerOf(engine.gpu);
  const shapes = new Map((problems?.map(asShape) ?? shapesSeen(engine.gpu)).map((shape) => [shapeClass(shape), shape]));
  // The costliest first: there the choice matters most, should the time run out.
  const queue = [...shapes.values()].sort((a, b) => work(b) - work(a));
  const deadline = performance.now() + budgetMs;
  const rows: TuneRow[] = [];
  for (const [i, shape] of queue.entries()) {
    const known = tuner.lookup(FAMILY, shapeClass(shape));
    const left = deadline - performance.now();
    if (known === undefined && left <= 0) continue;
    const row = known ?? (await measure(engine, shape, left));
    if (row === undefined) continue;
    rows.push(row);
    onProgress?.(row, i + 1, queue.length);
  }
  return rows;
}

const work = ({ m, n, k, batches }: MatmulShape): number => m * n * k * batches;

async function measure(engine: Engine, shape: MatmulShape, budgetMs: number): Promise<TuneRow | undefined> {
  const { m, n, k, batches, transA, transB, half } = shape;
  const { gpu } = engine;
  const first = templateName(defaultTemplate(shape, gpu));
  const templates = allTemplates(gpu.caps).sort((x, y) => Number(templateName(y) === first) - Number(templateName(x) === first));
  const tensors: Tensor[] = [];
  const make = (rows: number, columns: number, dtype: "f32" | "f16"): Tensor => {
    // Neither zeros nor denormals, on which some units are faster or slower than on numbers.
    const tensor = engine.keep(engine.full([batches, rows, columns], 0.5, dtype));
    tensors.push(tensor);
    return tensor;
  };
  try {
    const a = transA ? make(k, m, "f32") : make(m, k, "f32");
    const b = transB ? make(n, k, half ? "f16" : "f32") : make(k, n, half ? "f16" : "f32");
    const out = make(m, n, "f32");
    const candidates = templates.map((template) => ({
      name: templateName(template),
      run: () => void product(a, b, { transA, transB, out, template }),
      unsupported: unsupported(template, shape, gpu.caps),
    }));
    return await tunerOf(gpu).measure({ family: FAMILY, shape: shapeClass(shape), candidates }, { budgetMs });
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** How every class of products met so far is run on this device, and the measurements behind it. */
export function explainMatmul(engine: Engine): MatmulChoice[] {
  const { gpu } = engine;
  return shapesSeen(gpu).map((shape) => {
    const name = shapeClass(shape);
    const row = tunerOf(gpu).lookup(FAMILY, name);
    if (row === undefined) return { shape: name, template: templateName(defaultTemplate(shape, gpu)), source: "default" as const, timings: [] };
    return { shape: name, template: row.winner, source: row.source, ms: row.timings[0]!.ms, timings: row.timings };
  });
}
