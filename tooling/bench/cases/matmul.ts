import type { Case, Contender } from "../contender.ts";
import { matmulProblem, referenceProduct, relativeError, type MatmulProblem } from "./matmul-problem.ts";

export interface MatmulOptions {
  readonly sizes: readonly number[];
  readonly contenders: readonly Contender<MatmulProblem>[];
  /** The adapter's ceiling, asked anew for every case. */
  readonly ceiling: () => Promise<number>;
}

/** One case a size. A product is right when no entry is off by more than 1e-5 of the largest. */
export async function* matmulCases({ sizes, contenders, ceiling }: MatmulOptions): AsyncGenerator<Case<MatmulProblem>> {
  for (const size of sizes) {
    const problem = matmulProblem(size, size <= 512 ? 4 : 2);
    const want = referenceProduct(problem);
    yield {
      bench: "matmul",
      name: String(size),
      problem,
      contenders,
      flops: 2 * size ** 3,
      perRun: problem.products,
      warmups: 1,
      error: (output) => relativeError(output, want),
      tolerance: 1e-5,
      ceilingGflops: await ceiling(),
    };
  }
}
