import { scoreHook, scoreMod, window, type QkPairHook, type ReferenceInputs, type ScalarCapture } from "@polyhead/core";
import { rotation } from "../../src/kernel-laws/rotation.ts";
import type { Fault } from "./kernel.ts";

interface PlantedFault {
  /** Completes "a kernel that ...". */
  readonly what: string;
  /** The law that must find it, by its name. */
  readonly breaks: RegExp;
  readonly fault: Fault;
}

const COVERING = /^equals float64 attention/;

/** Rows of o and lse, with the batch row, head and query of each. */
function eachRow({ q, v }: ReferenceInputs, visit: (row: { readonly at: number; readonly b: number; readonly h: number; readonly i: number; readonly from: number; readonly to: number }) => void): void {
  const [B = 0, H = 0, T = 0] = q.shape;
  const Dv = v.shape[3] ?? 0;
  for (let at = 0; at < B * H * T; at++) visit({ at, b: Math.floor(at / (H * T)), h: Math.floor(at / T) % H, i: at % T, from: at * Dv, to: (at + 1) * Dv });
}

const clamp = scoreHook({ id: "clamp", program: scoreMod`min(score, 30.0)` });
const dropped = (name: string): Fault => ({ differentiates: ({ tables }) => { tables.get(name)?.fill(0); } });

let runs = 0;
const firstValues = new WeakMap<ScalarCapture, number>();

/** Faults as they happen in kernels, each with the law that finds it. */
export const FAULTS: readonly PlantedFault[] = [
  { what: "counts positions from its own first row", breaks: /global positions/, fault: { reads: (x) => ({ ...x, qOffset: 0, kvOffset: 0 }) } },
  { what: "leaves out the last keys when there is one query", breaks: /last rows, asked alone/, fault: { reads: (x) => (x.q.shape[2] === 1 ? { ...x, lengths: Array.from(x.lengths!, (n) => Math.floor(n / 32) * 32) } : x) } },
  { what: "leaves out the keys of the last tile", breaks: COVERING, fault: { reads: (x) => ({ ...x, lengths: Array.from(x.lengths!, (n) => Math.floor(n / 32) * 32) }) } },
  { what: "gives the log-sum-exp relative to the row's largest score", breaks: COVERING, fault: { writes: ({ lse }) => { lse.forEach((x, i) => { lse[i] = x - 1; }); } } },
  { what: "divides 0 by 0 in a row without keys", breaks: /no allowed key/, fault: { writes: ({ o, lse }, _, x) => { eachRow(x, ({ at, from, to }) => { if (lse[at] === -Infinity) o.fill(NaN, from, to); }); } } },
  { what: "gives a very small number for the log-sum-exp of a row without keys", breaks: /no allowed key/, fault: { writes: ({ lse }) => { lse.forEach((x, i) => { lse[i] = Math.max(x, -1e30); }); } } },
  { what: "lets a gradient into a row without keys", breaks: /no allowed key/, fault: { differentiates: ({ q }, _, through) => { if (through === "lse") q.forEach((x, i) => { if (x === 0) q[i] = 1e-3; }); } } },
  { what: "gives a key head the gradient of one of its query heads only", breaks: COVERING, fault: { differentiates: ({ k }, given) => { if (given.q.shape[1] !== given.k.shape[1]) k.forEach((x, i) => { k[i] = x / 2; }); } } },
  { what: "takes positions to be unsigned", breaks: /before position 0/, fault: { reads: (x) => ({ ...x, qOffset: Math.max(0, x.qOffset as number) }) } },
  { what: "sees live numbers as they were never", breaks: /live numbers/, fault: { reads: (x, { qOffset }) => (typeof qOffset === "number" ? x : { ...x, qOffset: qOffset.value - 1 }) } },
  { what: "looks at keys that are not in use", breaks: /number in use/, fault: { reads: (x, { keys }) => (keys === undefined ? x : { ...x, lengths: Array.from(x.lengths!, () => x.k.shape[2]!) }) } },
  { what: "adds up in an order of chance", breaks: /same bits/, fault: { differentiates: ({ k }) => { k[0] = k[0]! * (1 + 1e-6 * runs++); } } },
  { what: "leaves an output unwritten", breaks: /nobody wrote/, fault: { writes: ({ o }, { q }) => { o[o.length - 1] = q.engine.unwritten; } } },
  { what: "reads a view as if it were row-major", breaks: /strided views/, fault: { reads: (x, { q }) => (q.base === undefined ? x : { ...x, q: { ...x.q, data: Float64Array.from(q.base.tensor.data.subarray(q.base.start, q.base.start + q.size)) } }) } },
  { what: "forgets the gradient of values that lie in the keys", breaks: /first features of the keys/, fault: { differentiates: ({ v }, given) => { if (given.v.base?.tensor === given.k) v.fill(0); } } },
  { what: "keeps a buffer of each run", breaks: /given back/, fault: { writes: (_, { q }) => { const { engine } = q; queueMicrotask(() => engine.tensor([0], [1])); } } },
  { what: "cannot do nothing", breaks: /empty batch/, fault: { reads: (x) => { if (x.q.data.length === 0) throw new Error("a dispatch of 0 workgroups"); return x; } } },
  { what: "computes heads by twos", breaks: /no workgroup count divides/, fault: { writes: ({ o }, _, x) => { eachRow(x, ({ h, from, to }) => { if (h % 2 === 0 && h === x.q.shape[1]! - 1 && h > 0) o.fill(0, from, to); }); } } },
  { what: "clamps scores", breaks: /up to ±60/, fault: { reads: (x) => ({ ...x, score: [...x.score!, clamp] }) } },
  { what: "does not subtract the largest score before exp", breaks: /beyond what exp can hold/, fault: { writes: ({ o, lse }, _, x) => { eachRow(x, ({ at, from, to }) => { if (Math.abs(lse[at]!) > 88 && lse[at] !== -Infinity) o.fill(NaN, from, to); }); } } },
  { what: "subtracts infinities where a bias forbids a whole row", breaks: /bias of minus infinity/, fault: { writes: ({ lse }, { bias }) => { if (bias !== undefined) lse.forEach((x, i) => { if (x === -Infinity) lse[i] = NaN; }); } } },
  { what: "subtracts infinities where a hook forbids a whole row", breaks: /hook may add minus infinity/, fault: { writes: ({ lse }, { bias }) => { if (bias === undefined) lse.forEach((x, i) => { if (x === -Infinity) lse[i] = NaN; }); } } },
  { what: "takes the bias gradient of one batch row for all", breaks: /gradient of a bias is summed/, fault: { differentiates: ({ bias }, given) => { if (given.bias?.shape[0] === 1) bias?.forEach((x, i) => { bias[i] = x / 2; }); } } },
  { what: "drops the gradient of factors of a head", breaks: /indexed by a head, as a factor/, fault: dropped("gain") },
  { what: "drops the gradient of slopes of a batch row and a head", breaks: /indexed by a batch row and a head/, fault: dropped("slope") },
  { what: "drops the gradient of a table by query", breaks: /indexed by a query/, fault: dropped("by_query") },
  { what: "drops the gradient of a table by key", breaks: /indexed by a key and a head/, fault: dropped("by_key") },
  { what: "drops the gradient of a learned scalar", breaks: /indexed by nothing/, fault: dropped("one") },
  { what: "drops the gradient of a table by distance", breaks: /indexed by a distance/, fault: dropped("by_distance") },
  { what: "gives the second of two tables no gradient", breaks: /several learned tables/, fault: { differentiates: ({ tables }) => { if (tables.size > 1) [...tables.values()][1]!.fill(0); } } },
  {
    what: "bakes the value of a scalar into its code",
    breaks: /scalar is read anew/,
    fault: {
      reads: (x) => {
        for (const { program } of x.score ?? []) for (const capture of program.captures) {
          if (capture.shape.length > 0 || capture.learned) continue;
          const scalar = capture as unknown as ScalarCapture;
          if (!firstValues.has(scalar)) firstValues.set(scalar, scalar.value);
          if (scalar.value !== firstValues.get(scalar)) return { ...x, scale: 0 };
        }
        return x;
      },
    },
  },
  { what: "adds up halves in halves", breaks: /range of f16/, fault: { writes: ({ o }, { q, k }) => { if (q.dtype === "f16" && Math.max(...q.data) * Math.max(...k.data) > 65504) o.fill(Infinity); } } },
  { what: "gives no gradient from o", breaks: /gradient of o alone/, fault: { differentiates: ({ q }, _, through) => { if (through === "o") q.fill(0); } } },
  { what: "gives no gradient from the log-sum-exp", breaks: /gradient of lse alone/, fault: { differentiates: ({ k }, _, through) => { if (through === "lse") k.fill(0); } } },
  { what: "gives the gradient of the log-sum-exp the wrong sign, where both outputs are used", breaks: COVERING, fault: { differentiates: ({ q }, _, through) => { if (through === "lse") q.forEach((x, i) => { q[i] = -x; }); } } },
  { what: "takes pages in the order in which they lie", breaks: /pages give what rows give/, fault: { reads: (x, { pages, k }) => (pages === undefined ? x : { ...x, k: { ...x.k, data: Float64Array.from({ length: x.k.data.length }, (_, i) => k.data[i]!) } }) } },
  { what: "ignores left padding", breaks: COVERING, fault: { reads: ({ starts: _starts, ...x }) => x } },
  { what: "applies the score hooks in its own order", breaks: COVERING, fault: { reads: (x) => ({ ...x, score: x.score!.toReversed() }) } },
  { what: "forgets the rotation of the keys", breaks: /turned at their global positions: pairs in halves/, fault: { reads: (x) => ({ ...x, qk: x.qk!.map((hook) => ({ ...hook, applies: "q" as const })) }) } },
  { what: "pairs elements of an interleaved layout in halves", breaks: /pairs interleaved/, fault: { reads: (x) => ({ ...x, qk: x.qk!.map((hook) => (hook.id.includes("interleaved") ? rotation("half", (hook as QkPairHook).rotaryDim) : hook)) }) } },
  { what: "turns the whole head where a part is asked for", breaks: /part of an odd head/, fault: { reads: (x) => ({ ...x, qk: x.qk!.map((hook) => (hook.id.endsWith(" 6") ? rotation("half", 14) : hook)) }) } },
  { what: "is off by one at a window's edge", breaks: /global positions/, fault: { reads: (x) => (x.mask.kind === "window" ? { ...x, mask: window(x.mask.left - 1, x.mask.right) } : x) } },
  { what: "takes the lengths of one batch row for all", breaks: /no allowed key/, fault: { reads: (x) => ({ ...x, lengths: Array.from(x.lengths!, () => x.lengths![0]!) }) } },
];
