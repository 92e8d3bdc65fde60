/** Numbers of a matrix by row and column, in a given batch. */
export type Matrix = (batch: number, row: number, column: number) => number;

/** C[z, i, j] = Σₖ A[z, i, k] · B[z, k, j], in float64 and row-major. */
export function matmulReference(batches: number, m: number, n: number, k: number, a: Matrix, b: Matrix): Float64Array {
  return Float64Array.from({ length: batches * m * n }, (_, at) => {
    const [z, i, j] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
    let sum = 0;
    for (let c = 0; c < k; c++) sum += a(z, i, c) * b(z, c, j);
    return sum;
  });
}

/** Reads row-major [batch, rows, columns]; `transposed` reads [batch, columns, rows]. */
export const matrix = (data: ArrayLike<number>, rows: number, columns: number, transposed = false): Matrix =>
  (z, i, j) => data[z * rows * columns + (transposed ? j * rows + i : i * columns + j)]!;
