import type { Capture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import { type Env, evaluate } from "./evaluate.ts";
import { guarded } from "./guard.ts";
import { type Contents, type Ranges, intervalOf } from "./interval.ts";
import { type Interval, truthOf } from "./interval-value.ts";
import { printProgram } from "./print.ts";
import { type Program, program, topological, variablesOf } from "./program.ts";
import { reachedWhen } from "./reach.ts";

/** One place where a program reads a table. */
export interface IndexSite {
  readonly capture: Capture;
  /** The capture's position in the program's `captures`. */
  readonly slot: number;
  /** The indices read, one i32 output an axis, over the program's variables. */
  readonly index: Program;
  /** When the place is reached at all: what guards it, as one condition. */
  readonly when: Program;
}

/** What is known of one index of one load. */
export interface IndexFinding extends IndexSite {
  readonly axis: number;
  /** `inside`: never leaves the table. `outside`: leaves it at a corner of the ranges. `unproven`: may leave it. */
  readonly verdict: "inside" | "unproven" | "outside";
  /** What the index may be, by intervals and by what guards it. */
  readonly interval: Interval;
  /** The corner at which it leaves the table, when it is known to. */
  readonly at: Env | undefined;
  /** All of it in a sentence. */
  readonly sentence: string;
}

/** Every distinct load with an index, in branches too. */
export function indexSites(target: Program): readonly IndexSite[] {
  const when = reachedWhen(target.outputs);
  return topological(target.outputs).flatMap((load) => {
    const { capture } = load.leaf;
    const reached = when.get(load);
    if (!capture || !reached || load.args.length === 0) return [];
    return { capture, slot: target.captures.indexOf(capture), index: program(target.vars, load.args), when: program(target.vars, [reached]) };
  });
}

/**
 * Whether each index stays in its table for all variables in their ranges: one finding for each load and axis.
 *
 * Intervals, and comparisons that guard the load, prove that it does. That it does not is shown by the oracle at a corner of
 * the ranges, where the load is reached: one behind a guard is not accused of what the guard keeps away.
 *
 * @throws ExprError `EXPR_INPUT` on a missing range, as `intervalOf` does.
 */
export function checkIndices(target: Program, ranges: Ranges, contents?: Contents): readonly IndexFinding[] {
  return indexSites(target).flatMap((site) => {
    const never = intervalOf(site.when, ranges, contents).every((when) => truthOf(when) === false);
    return guarded(site, ranges, contents).map((interval, axis): IndexFinding => {
      const { outputs, vars } = site.index;
      const text = printProgram(program(vars, outputs.slice(axis, axis + 1)));
      const place = `index ${axis} of capture '${site.capture.name}', ${text},`;
      const last = (site.capture.shape[axis] ?? 0) - 1;
      const finding = { ...site, axis, interval, at: undefined };
      if (never) return { ...finding, verdict: "inside", sentence: `${place} is never read` };
      if (interval.lo >= 0 && interval.hi <= last) return { ...finding, verdict: "inside", sentence: `${place} lies in ${interval.lo} to ${interval.hi}, inside 0 to ${last}` };
      const found = cornerOutside(site, axis, ranges);
      if (!found) return { ...finding, verdict: "unproven", sentence: `${place} lies in ${interval.lo} to ${interval.hi} as far as intervals tell; expected 0 to ${last}` };
      const where = found.varied.map((name) => `${name} = ${String(found.at[name])}`);
      return { ...finding, verdict: "outside", at: found.at, sentence: `${place} is ${found.value}${where.length > 0 ? ` at ${where.join(", ")}` : ""}; expected 0 to ${last}` };
    });
  });
}

/** A finding as an error, `EXPR_INDEX`, for those who refuse it. */
export function indexError({ sentence }: IndexFinding): ExprError {
  return new ExprError("EXPR_INDEX", sentence, "clamp the index, guard it with ?:, or make the table larger");
}

/** More variables than this are not varied all at once: 4096 corners at most. */
const MOST_VARIED = 12;

interface Corner {
  readonly at: Env;
  /** The variables that matter. */
  readonly varied: readonly string[];
  /** What the index is there. */
  readonly value: number;
}

/** A corner of the ranges at which the load is reached and its index lies outside. */
function cornerOutside({ capture, index, when }: IndexSite, axis: number, ranges: Ranges): Corner | undefined {
  const chosen = program(index.vars, index.outputs.slice(axis, axis + 1));
  const names = variablesOf(...chosen.outputs, ...when.outputs).slice(0, MOST_VARIED);
  const at: Record<string, number | boolean> = {};
  const end = (name: string, side: 0 | 1): number | boolean => {
    const range = ranges[name] ?? 0;
    return typeof range === "object" ? range[side] : range;
  };
  for (const name of Object.keys(index.vars)) at[name] = end(name, 0);
  for (let corner = 0; corner < 2 ** names.length; corner++) {
    for (const [n, name] of names.entries()) at[name] = end(name, (corner >> n) % 2 === 0 ? 0 : 1);
    const value = known(() => (evaluate(when, at)[0] === 1 ? evaluate(chosen, at)[0] : undefined));
    if (value !== undefined && (value < 0 || value >= (capture.shape[axis] ?? 0))) return { at, value, varied: names };
  }
  return undefined;
}

/** A value, or undefined where it hangs on a placeholder's numbers or on another load outside its table. */
function known(value: () => number | undefined): number | undefined {
  try {
    return value();
  } catch (error) {
    if (error instanceof ExprError && (error.code === "EXPR_BOUNDS" || error.code === "EXPR_CAPTURE")) return undefined;
    throw error;
  }
}
