import { uniform } from "./random.ts";

/** The values that each property of a test case may take, by the property's name. */
export type Axes = Readonly<Record<string, readonly string[]>>;

/** One value of every axis. */
export type Row<A extends Axes> = { readonly [K in keyof A]: A[K][number] };

export interface CoveringOptions<A extends Axes> {
  /** The same rows for the same seed. */
  readonly seed: number;
  /** What a row costs to run, in pairs that a dearer row must cover beyond a cheaper one to be chosen. Default 0. */
  readonly cost?: (row: Row<A>) => number;
  /** Values that must meet in a row: two of two axes (default), or one, when every value is to occur. */
  readonly together?: 1 | 2;
}

/** Rows that are drawn before one is taken: more give fewer rows in the end, and take longer to find. */
const CANDIDATES = 60;

/**
 * Few rows in which every two values of two axes meet (pairwise coverage): faults mostly need no more than two properties
 * to meet, and the full product would take days. Greedy: of some random rows around a pair still missing, the one that
 * covers most pairs for its cost is taken, until none is missing (AETG; Cohen et al., 1997).
 */
export function coveringRows<const A extends Axes>(axes: A, { seed, cost = () => 0, together = 2 }: CoveringOptions<A>): Row<A>[] {
  const random = randomOf(seed);
  const goalsOf = together === 2 ? pairsOf : valuesOf;
  const missing = new Set(together === 2 ? allPairs(axes) : Object.entries(axes).flatMap(([name, values]) => values.map((value) => valueName(name, value))));
  const gain = (row: Record<string, string>): number => goalsOf(row).filter((goal) => missing.has(goal)).length;
  const rows: Row<A>[] = [];
  while (missing.size > 0) {
    const starts = [...missing];
    let best: { readonly row: Row<A>; readonly worth: number } | undefined;
    for (let n = 0; n < CANDIDATES; n++) {
      const row = draw(axes, starts[random(starts.length)]!, missing, random);
      const worth = gain(row) - cost(row as Row<A>);
      if (best === undefined || worth > best.worth) best = { row: row as Row<A>, worth };
    }
    const { row } = best!;
    for (const goal of goalsOf(row)) missing.delete(goal);
    rows.push(row);
  }
  return rows;
}

/** Whole numbers below n. */
function randomOf(seed: number): (n: number) => number {
  let numbers = uniform(1024, seed);
  let at = 0;
  return (n) => {
    if (at === numbers.length) [numbers, at] = [uniform(1024, (seed += 0x9e3779b9)), 0];
    return Math.min(n - 1, Math.floor(((numbers[at++]! + 1) / 2) * n));
  };
}

const valueName = (a: string, x: string): string => `${a}=${x}`;
const pairName = (a: string, x: string, b: string, y: string): string => `${valueName(a, x)}&${valueName(b, y)}`;

const valuesOf = (row: Readonly<Record<string, string>>): string[] => Object.entries(row).map(([a, x]) => valueName(a, x));

function allPairs(axes: Axes): string[] {
  const list = Object.entries(axes);
  return list.flatMap(([a, xs], i) => list.slice(i + 1).flatMap(([b, ys]) => xs.flatMap((x) => ys.map((y) => pairName(a, x, b, y)))));
}

/** The pairs of a row, which may be unfinished; its keys stand in the order of the axes. */
function pairsOf(row: Readonly<Record<string, string>>): string[] {
  const list = Object.entries(row);
  return list.flatMap(([a, x], i) => list.slice(i + 1).map(([b, y]) => pairName(a, x, b, y)));
}

/** A row around a missing pair or value, each other value chosen for what is missing that it brings. */
function draw(axes: Axes, start: string, missing: ReadonlySet<string>, random: (n: number) => number): Record<string, string> {
  const names = Object.keys(axes);
  const fixed = new Map(start.split("&").map((part) => part.split("=") as [string, string]));
  const open = names.filter((name) => !fixed.has(name));
  while (open.length > 0) {
    const [name] = open.splice(random(open.length), 1) as [string];
    let best: { readonly value: string; readonly gain: number } | undefined;
    // Now and then any value will do, so that there is a cheap row to choose among the candidates.
    const values = random(6) === 0 ? [axes[name]![random(axes[name]!.length)]!] : [...axes[name]!];
    while (values.length > 0) {
      const [value] = values.splice(random(values.length), 1) as [string];
      let gain = missing.has(valueName(name, value)) ? 1 : 0;
      for (const [other, given] of fixed) {
        const first = names.indexOf(other) < names.indexOf(name);
        if (missing.has(first ? pairName(other, given, name, value) : pairName(name, value, other, given))) gain++;
      }
      if (best === undefined || gain > best.gain) best = { value, gain };
    }
    fixed.set(name, best!.value);
  }
  return Object.fromEntries(names.map((name) => [name, fixed.get(name)!]));
}
