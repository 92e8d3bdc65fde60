import { PolyheadError } from "@polyhead/core";
import { philox } from "@polyhead/tensor";

/** Token windows and, one token later, what should be predicted: both `[batch × context]`, row by row. */
export interface Batch {
  readonly inputs: Uint32Array;
  readonly targets: Uint32Array;
}

/** Where training reads: batch `index` is always the same one, so that a resumed run sees what an unbroken one would. */
export interface BatchSource {
  batch(index: number): Batch;
}

/** Windows that start at the given places. */
export function windowsAt(tokens: Uint32Array, starts: readonly number[], context: number): Batch {
  const inputs = new Uint32Array(starts.length * context);
  const targets = new Uint32Array(starts.length * context);
  starts.forEach((start, row) => {
    inputs.set(tokens.subarray(start, start + context), row * context);
    targets.set(tokens.subarray(start + 1, start + context + 1), row * context);
  });
  return { inputs, targets };
}

/**
 * Windows at random places, drawn by counter: row r of batch i starts where Philox(seed; i, r) says.
 *
 * @throws PolyheadError `DATA_TOO_SHORT` when the text does not hold one window.
 */
export function randomWindows(tokens: Uint32Array, { batch, context, seed }: { readonly batch: number; readonly context: number; readonly seed: number }): BatchSource {
  const places = tokens.length - context;
  checkLength(tokens, context);
  return {
    batch: (index) => windowsAt(tokens, Array.from({ length: batch }, (_, row) => philox([index, row, 0, 0], [seed, 0x62617463])[0] % places), context),
  };
}

/** The first `count` windows, side by side: the same ones at every evaluation. */
export function consecutiveWindows(tokens: Uint32Array, context: number, count: number): Batch {
  checkLength(tokens, context);
  const fit = Math.floor((tokens.length - 1) / context);
  return windowsAt(tokens, Array.from({ length: Math.min(count, fit) }, (_, i) => i * context), context);
}

function checkLength(tokens: Uint32Array, context: number): void {
  if (tokens.length > context) return;
  throw new PolyheadError("DATA_TOO_SHORT", `the text has ${tokens.length} tokens; a window of ${context} and the token after it need ${context + 1}`, "use a longer text, or a shorter context");
}
