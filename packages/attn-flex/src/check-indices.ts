import { checkIndices, PolyheadError, scoreMod, toProgram, type Mask, type Program } from "@polyhead/core";

/** Positions, batch rows and heads of a call; ends excluded. */
export interface Extent {
  readonly batch: number;
  readonly heads: number;
  readonly q: readonly [from: number, end: number];
  readonly kv: readonly [from: number, end: number];
}

const passed = new WeakMap<Program, Extent>();
const guarded = new WeakMap<Program, WeakMap<Program, Program>>();

/** The modifier where the mask holds: what it reads elsewhere is masked away, and no mistake. */
function where(mask: Program, score: Program): Program {
  let byScore = guarded.get(mask);
  if (byScore === undefined) guarded.set(mask, (byScore = new WeakMap()));
  let program = byScore.get(score);
  if (program === undefined) byScore.set(score, (program = scoreMod`${mask} ? ${score} : 0.0`));
  return program;
}

/**
 * Refuses modifiers and masks that certainly read beside a table somewhere in the call. What cannot be proved either way
 * passes: on the device such a read gives NaN, which the anomaly mode names.
 *
 * @throws PolyheadError `FLEX_INDEX` with capture, axis, index and extent.
 */
export function refuseOutside(mask: Mask, scores: readonly Program[], extent: Extent): void {
  const condition = toProgram(mask);
  for (const program of [condition, ...scores.map((score) => where(condition, score))]) {
    if (!program.captures.some(({ shape }) => shape.length > 0) || within(extent, passed.get(program))) continue;
    const { batch, heads, q, kv } = extent;
    const ranges = { score: 0, b: [0, batch - 1], h: [0, heads - 1], q: [q[0], q[1] - 1], kv: [kv[0], kv[1] - 1] } as const;
    const wrong = checkIndices(program, ranges).find(({ verdict }) => verdict === "outside");
    if (wrong !== undefined) throw new PolyheadError("FLEX_INDEX", wrong.sentence, "clamp the index, guard it with ?:, or make the table larger");
    passed.set(program, extent);
  }
}

function within(inner: Extent, outer: Extent | undefined): boolean {
  if (outer === undefined) return false;
  const inside = (a: readonly [number, number], b: readonly [number, number]): boolean => a[0] >= b[0] && a[1] <= b[1];
  return inner.batch <= outer.batch && inner.heads <= outer.heads && inside(inner.q, outer.q) && inside(inner.kv, outer.kv);
}
