import { type Capture, type LoadSite, evaluate } from "@polyhead/expr";
import { type Array64, zeros64 } from "./array.ts";

/** Gradients of learned captures, each shaped like its capture; filled while the reference walks back. */
export type CaptureGradients = Map<Capture, Array64>;

/** Adds to the element that a load site reads the gradients of the outputs, times their derivatives by that element. */
export function addAtSite(gradients: CaptureGradients, site: LoadSite, env: Readonly<Record<string, number>>, byOutput: readonly number[]): void {
  const { capture, index, derivative } = site;
  let table = gradients.get(capture);
  if (table === undefined) gradients.set(capture, (table = zeros64(capture.shape)));
  const indices = capture.shape.length === 0 ? [] : evaluate(index, env);
  const at = capture.shape.reduce((offset, n, axis) => offset * n + (indices[axis] ?? 0), 0);
  const slopes = evaluate(derivative, env);
  table.data[at] = byOutput.reduce((sum, gradient, i) => sum + gradient * (slopes[i] ?? NaN), table.data[at] ?? NaN);
}
