import type { Case, Contender } from "../contender.ts";
import { matmulProblem, referenceProduct, relativeError, type MatmulProblem } from "./matmul-problem.ts";

export interface MatmulOptions {
  readonly sizes: readonly number[];
  readonly contenders: readonly Contender<MatmulProblem>[];
  readonly ceilingGflops: number;
}

/** One case a size. A product is right when no entry is off by more than 1e-5 of the largest. */
export function* matmulCases({ sizes, contenders, ceilingGflops }: MatmulOptions): Generator<Case<MatmulProblem>> {
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
      ceilingGflops,
    };
  }
}
