import { and, capture, custom, formula, full, not, or, prefix, substitute, toProgram, window, type BoundHook, type Capture, type Mask, type Program, type ScoreHook } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import type { Piece } from "./layout.ts";

/** Where a run of queries meets a run of keys: what a kernel that counts rows one by one must be told. */
export interface Meeting {
  readonly mask: Mask;
  readonly qOffset: number;
  readonly kvOffset: number;
  readonly score: readonly BoundHook<Tensor, ScoreHook>[];
}

/** A run of tokens at its global place. */
export type Place = Piece;

/**
 * Global positions for kernels that know offsets only. Runs of stride 1 need no more. Of runs with a stride of n, every
 * formula of positions is rewritten in row numbers: with `q = n·q′ + a` and `kv = n·kv′ + b`, ranges of keys stay ranges,
 * and everything else is computed from q′ and kv′ cell by cell.
 *
 * a and b are captured scalars, so that all meetings share one compiled kernel; they hold for the last `meet`, and are to be used before the next.
 */
export class Coordinates {
  readonly #stride: number;
  readonly #heads: number;
  readonly #a: Capture = capture(Int32Array.of(0), [], { name: "first query" });
  readonly #b: Capture = capture(Int32Array.of(0), [], { name: "first key" });
  readonly #h: Capture = capture(Int32Array.of(0), [], { name: "first head" });
  readonly #programs = new WeakMap<Program, Program>();
  readonly #masks = new WeakMap<Mask, Map<string, Mask>>();
  readonly #hooks = new WeakMap<ScoreHook, ScoreHook>();

  /**
   * @param stride of all runs that meet
   * @param heads whether heads are counted from another one than the first
   */
  constructor(stride: number, heads: "all" | "some" = "all") {
    this.#stride = stride;
    this.#heads = heads === "some" ? 1 : 0;
  }

  /** `firstHead`: the head of the whole that is head 0 here. */
  meet(mask: Mask, score: readonly BoundHook<Tensor, ScoreHook>[], q: Place, k: Place, firstHead = 0): Meeting {
    const n = this.#stride;
    const same = n === 1 && this.#heads === 0;
    // In row numbers, queries begin at `ahead` and keys at 0; `over` is what the stride leaves.
    const ahead = n === 1 ? q.start : Math.floor((q.start - k.start) / n);
    const over = n === 1 ? 0 : q.start - k.start - n * ahead;
    const [a, b] = n === 1 ? [0, 0] : [k.start + over, k.start];
    for (const [scalar, value] of [[this.#a, a], [this.#b, b], [this.#h, firstHead]] as const) if (scalar.data[0] !== value) scalar.set([value]);
    return {
      mask: same ? mask : this.#mask(mask, over, k.start),
      qOffset: ahead,
      kvOffset: n === 1 ? k.start : 0,
      score: same ? score : score.map(({ hook, params }) => ({ hook: this.#hook(hook), params })),
    };
  }

  #hook(hook: ScoreHook): ScoreHook {
    let found = this.#hooks.get(hook);
    if (found === undefined) this.#hooks.set(hook, (found = { ...hook, program: this.#program(hook.program) }));
    return found;
  }

  #program(program: Program): Program {
    let found = this.#programs.get(program);
    if (found === undefined) {
      const rewritten: Record<string, Program> = {
        ...(this.#stride > 1 && { q: formula({ q: "i32" })`q * ${this.#stride} + ${this.#a}`, kv: formula({ kv: "i32" })`kv * ${this.#stride} + ${this.#b}` }),
        ...(this.#heads > 0 && { h: formula({ h: "i32" })`h + ${this.#h}` }),
      };
      this.#programs.set(program, (found = substitute(program, Object.fromEntries(Object.entries(rewritten).filter(([name]) => Object.hasOwn(program.vars, name))))));
    }
    return found;
  }

  /** The same mask object for the same question, since kernels are remembered by it. */
  #mask(mask: Mask, over: number, first: number): Mask {
    let byPlace = this.#masks.get(mask);
    if (byPlace === undefined) this.#masks.set(mask, (byPlace = new Map<string, Mask>()));
    const key = keyOf(mask, this.#stride, over, first);
    let found = byPlace.get(key);
    if (found === undefined) byPlace.set(key, (found = this.#inRows(mask, over, first)));
    return found;
  }

  #inRows(mask: Mask, over: number, first: number): Mask {
    const n = this.#stride;
    switch (mask.kind) {
      case "full":
      case "causal": // q ≥ kv is n(q′ − kv′) ≥ −over, and over < n
        return mask;
      case "window": {
        const [left, right] = [Math.floor((mask.left - over) / n), Math.floor((mask.right + over) / n)];
        if (left + right < 0) return NOBODY;
        return left < 0 ? custom(this.#program(toProgram(mask))) : window(left, right);
      }
      case "prefix":
        return n === 1 ? mask : prefix(Math.max(0, Math.ceil((mask.length - first) / n)));
      case "and":
      case "or":
        return (mask.kind === "and" ? and : or)(...mask.masks.map((one) => this.#inRows(one, over, first)));
      case "not":
        return not(this.#inRows(mask.mask, over, first));
      case "document":
      case "custom":
        return custom(this.#program(toProgram(mask)));
    }
  }
}

const NOBODY: Mask = not(full());

/** Equal where the mask in row numbers is: what it is told of the place. */
function keyOf(mask: Mask, n: number, over: number, first: number): string {
  switch (mask.kind) {
    case "window":
      return `${Math.floor((mask.left - over) / n)},${Math.floor((mask.right + over) / n)}`;
    case "prefix":
      return String(Math.ceil((mask.length - first) / n));
    case "and":
    case "or":
      return mask.masks.map((one) => keyOf(one, n, over, first)).join(";");
    case "not":
      return keyOf(mask.mask, n, over, first);
    default:
      return "";
  }
}
