import { createEngine, matmul, tuneMatmul, type MatmulTemplate } from "@polyhead/tensor";
import type { MatmulProblem } from "../cases/matmul-problem.ts";
import type { Contender, Runner } from "../contender.ts";
import { ourGpu } from "./gpu.ts";

/** What the tuner chose, and one of each template that it chooses among. */
export const ourMatmuls: readonly Contender<MatmulProblem>[] = [
  contender("polyhead"),
  contender("polyhead subgroup 32x4", (lanes) => ({ kind: "subgroup", lanes, rows: 32, quads: 1 })),
  contender("polyhead register 8x8 8x4", () => ({ kind: "register", x: 8, y: 8, rows: 8, quads: 1 })),
  contender("polyhead workgroup 16x16 4x4", () => ({ kind: "workgroup", x: 16, y: 16, rows: 4, quads: 1, depth: 16 })),
];

/** The kernel that the tuner measured as fastest for this product. */
export const tunedMatmul = (problem: MatmulProblem): Promise<Runner> => runner(problem);

function contender(name: string, force?: (lanes: number) => MatmulTemplate): Contender<MatmulProblem> {
  return { name, role: "ours", setup: (problem) => runner(problem, force) };
}

async function runner({ size, a, b, products }: MatmulProblem, force?: (lanes: number) => MatmulTemplate): Promise<Runner> {
  const gpu = await ourGpu();
  const template = force?.(gpu.caps.subgroupSize);
  if (template?.kind === "subgroup" && template.lanes < 4) throw new Error("this adapter has no subgroups of a size that is known beforehand");
  const engine = createEngine(gpu);
  const left = engine.tensor(a, [size, size]);
  const right = engine.tensor(b, [size, size]);
  if (template === undefined) await tuneMatmul(engine, [{ m: size, n: size, k: size }], { budgetMs: 30_000 });
  return {
    async run() {
      const results = Array.from({ length: products }, () => matmul(left, right, template === undefined ? {} : { template }));
      const values = await results[products - 1]!.read();
      for (const result of results) result.dispose();
      return values as Float32Array;
    },
    close() {
      left.dispose();
      right.dispose();
    },
  };
}
