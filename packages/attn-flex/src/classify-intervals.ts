import { intervalEvaluator, isPlaceholder, toProgram, truthOf, type Mask } from "@polyhead/core";
import { EMPTY, FULL, gridOf, PARTIAL, type BlockSizes } from "./sizes.ts";

/** Rectangles that may be asked about for one block: itself, its quarters, theirs, and their quarters. */
const MOST_QUESTIONS = 1 + 4 + 16 + 64;

/** What intervals say of the blocks of a mask. */
export interface Classified {
  /** `[batch, heads, query blocks, key blocks]`: EMPTY, PARTIAL or FULL. */
  readonly states: Uint8Array;
  /** Blocks called partial only because bounds did not tell. */
  readonly undecided: number;
}

/** Whether all numbers that a mask reads are known on the CPU. */
export function isKnown(mask: Mask): boolean {
  return toProgram(mask).captures.every((capture) => !capture.learned && !isPlaceholder(capture));
}

/**
 * The state of every block by the interval reading of the mask, without touching its cells: a block is full or empty where the
 * bounds of the whole block say so; else it is cut in quarters, again and again, until one part is allowed and another is not.
 * Sound: full and empty are proofs. Where bounds are too wide to tell within a few dozen parts, a block is called partial,
 * which costs time and is never wrong.
 *
 * @param patience blocks that may stay undecided; at one more, the rest is not looked at. Default all.
 */
export function classifyByIntervals(mask: Mask, sizes: BlockSizes, patience?: number): Classified {
  const { batch, heads, queries, keys, queryBlock, keyBlock, qOffset, kvOffset } = sizes;
  const { queryBlocks, keyBlocks } = gridOf(sizes);
  const ask = intervalEvaluator(toProgram(mask));
  const states = new Uint8Array(batch * heads * queryBlocks * keyBlocks);
  let undecided = 0;
  let at = 0;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const truth = ({ q0, q1, kv0, kv1 }: Cells): boolean | "either" => {
        const [answer] = ask({ b, h, q: [q0, q1], kv: [kv0, kv1] });
        return answer === undefined ? "either" : truthOf(answer);
      };
      for (let i = 0; i < queries; i += queryBlock) {
        for (let j = 0; j < keys; j += keyBlock) {
          const state = stateOf(truth, {
            q0: qOffset + i, q1: qOffset + Math.min(i + queryBlock, queries) - 1,
            kv0: kvOffset + j, kv1: kvOffset + Math.min(j + keyBlock, keys) - 1,
          });
          if (state === undefined && ++undecided > (patience ?? Infinity)) return { states, undecided };
          states[at++] = state ?? PARTIAL;
        }
      }
    }
  }
  return { states, undecided };
}

/** A rectangle of cells, all bounds included. */
interface Cells {
  readonly q0: number;
  readonly q1: number;
  readonly kv0: number;
  readonly kv1: number;
}

/** Undefined where bounds do not tell. */
function stateOf(truth: (cells: Cells) => boolean | "either", block: Cells): number | undefined {
  const parts = [block]; // first come, first asked: a cell of either kind is found soonest in large parts
  let [some, none] = [false, false];
  let asked = 0;
  for (const part of parts) {
    if (++asked > MOST_QUESTIONS) return undefined;
    const answer = truth(part);
    if (answer === true) some = true;
    else if (answer === false) none = true;
    else if (part.q0 === part.q1 && part.kv0 === part.kv1) return undefined;
    else parts.push(...quarters(part));
    if (some && none) return PARTIAL;
  }
  return some ? FULL : EMPTY;
}

function quarters({ q0, q1, kv0, kv1 }: Cells): Cells[] {
  const halves = (lo: number, hi: number): [number, number][] => {
    const middle = Math.floor((lo + hi) / 2);
    return lo === hi ? [[lo, hi]] : [[lo, middle], [middle + 1, hi]];
  };
  return halves(q0, q1).flatMap(([top, bottom]) => halves(kv0, kv1).map(([left, right]) => ({ q0: top, q1: bottom, kv0: left, kv1: right })));
}
