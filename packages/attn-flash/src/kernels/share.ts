// How the threads of a workgroup fill an array of workgroup memory.
import { wgsl } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";
import { range } from "./frame.ts";

/** What WebGPU promises. Arrays are laid out within it wherever that is possible. */
export const WORKGROUP_BYTES = 16_384;

/**
 * `assign(e)` for e below `count`, neighbours by neighbouring threads. A few rounds are written out, so that their loads are
 * under way together; but not where a hook acts on what is read, which would be copied with each.
 */
export function fill({ qk }: Pick<FlashForm, "qk">, count: number, threads: number, assign: (e: string) => string): string {
  const rounds = Math.ceil(count / threads);
  if (rounds > 4 || qk !== undefined) return wgsl`for (var e = thread; e < ${count}u; e += ${threads}u) { ${assign("e")} }`;
  return range(rounds)
    .map((n) => (n * threads + threads <= count ? `{ let e = thread + ${n * threads}u; ${assign("e")} }` : `if (thread < ${count - n * threads}u) { let e = thread + ${n * threads}u; ${assign("e")} }`))
    .join("\n");
}
