// What becomes of the cells of a tile, whichever template holds them. A cell is one score: row i of head h against row j of k.
import { topological, type Program } from "@polyhead/core";
import type { FlashForm } from "../spec.ts";
import { checkedBy } from "./blocks.ts";
import { MASKED } from "./frame.ts";

/** WGSL expressions of one cell. */
export interface Cell {
  /** Variable of the raw score, times {@link rawScale}. */
  readonly raw: string;
  /** Variable of what goes into exp2; the same as `raw` where the raw score is not needed again. */
  readonly score: string;
  readonly h: string;
  readonly i: string;
  readonly j: string;
}

/** A cell on the way back. */
export interface GradientCell extends Cell {
  /** g · v of the cell. */
  readonly dp: string;
  /** (log2-sum-exp, Δ) of its row. */
  readonly ld: string;
  /** Names to declare: its weight, and the gradient of its raw score. */
  readonly p: string;
  readonly e: string;
}

/** sum + a · b of groups of four. */
export const fmaDot = (a: string, b: string, sum: string): string => `fma(${a}.x, ${b}.x, fma(${a}.y, ${b}.y, fma(${a}.z, ${b}.z, fma(${a}.w, ${b}.w, ${sum}))))`;

/** Operations of hooks and mask, in all cells together, up to which they are copied: a fifth faster than a loop, and compiled in about the same time. */
const LIGHT = 128;

/** Functions that stand for many operations. */
const LONG: ReadonlySet<string> = new Set(["tanh", "erf", "sin", "cos", "pow", "sigmoid"]);

/** Longer ones keep compilers busy for minutes: they are looped over, with the cells in memory. */
const isHeavy = ({ program: { score, mask, slope } }: FlashForm, cells: readonly Cell[]): boolean => cells.length > 1 && cells.length * operationsOf(score, mask, slope) > LIGHT;

const operationsOf = (...programs: readonly (Program | undefined)[]): number =>
  topological(programs.flatMap((program) => program?.outputs ?? [])).reduce((sum, { op, args }) => sum + (LONG.has(op) ? 16 : args.length > 0 ? 1 : 0), 0);

/** An array of one expression of every cell. */
const listed = (name: string, type: string, texts: readonly string[]): string => `var ${name} = array<${type}, ${texts.length}>(${texts.join(", ")});`;

/** Lists what a loop over cells reads; declared once a tile. */
const listCells = (cells: readonly Cell[]): string[] => [listed("cellH", "u32", cells.map(({ h }) => h)), listed("cellI", "u32", cells.map(({ i }) => i)), listed("cellJ", "u32", cells.map(({ j }) => j)), listed("cellRaw", "f32", cells.map(({ raw }) => raw))];

const loop = (body: string): string => `for (var n = 0u; n < params.cells; n++) { ${body} }`;

/** Bias, hooks and mask, but of full blocks; not yet the ranges of keys. Declares `score` unless it is `raw`. */
export function judge(form: FlashForm, cells: readonly Cell[]): string[] {
  const { program } = form;
  const checked = checkedBy(form);
  const where = (text: string): string => (checked === undefined ? text : `if (${checked}) { ${text} }`);
  if (isHeavy(form, cells)) {
    const mask = program.mask === undefined ? "" : where(`if (!allowed(b, cellH[n], cellI[n], cellJ[n])) { score = ${MASKED}; }`);
    return [
      ...listCells(cells),
      `var cellScore: array<f32, ${cells.length}> = cellRaw;`,
      loop(`var score = cooked(cellRaw[n], b, cellH[n], cellI[n], cellJ[n]); ${mask} cellScore[n] = score;`),
      ...cells.map(({ raw, score }, n) => `${raw === score ? "" : "var "}${score} = cellScore[${n}];`),
    ];
  }
  return [
    ...cells.map(({ raw, score, h, i, j }) => `${raw === score ? "" : "var "}${score} = cooked(${raw}, b, ${h}, ${i}, ${j});`),
    ...(program.mask === undefined ? [] : [where(cells.map(({ score, h, i, j }) => `${score} = select(${MASKED}, ${score}, allowed(b, ${h}, ${i}, ${j}));`).join("\n"))]),
  ];
}

/** Weights and gradients: e = p (dp − Δ) ∂hooks/∂s, and 0 where p is: there dp and the derivative may be anything. */
export function differentiate(form: FlashForm, cells: readonly GradientCell[], slope: boolean): string[] {
  const looped = slope && isHeavy(form, cells);
  const factor = ({ raw, h, i, j }: Cell, n: number): string => (!slope ? "" : looped ? ` * cellSlope[${n}]` : ` * slope(${raw}, b, ${h}, ${i}, ${j})`);
  return [
    ...(looped ? [`var cellSlope = array<f32, ${cells.length}>();`, loop("cellSlope[n] = slope(cellRaw[n], b, cellH[n], cellI[n], cellJ[n]);")] : []),
    ...cells.map((cell, n) => `let ${cell.p} = exp2(${cell.score} - ${cell.ld}.x); let ${cell.e} = select(0.0, ${cell.p} * (${cell.dp} - ${cell.ld}.y)${factor(cell, n)}, ${cell.p} > 0.0);`),
  ];
}

/** Hands what cells give to `learn`, which is too long for a copy in each: their gradient, but for rows that stand in for others. */
export function learnCells(form: FlashForm, cells: readonly GradientCell[], exists: (n: number) => string): string[] {
  const gradients = cells.map(({ e }, n) => `select(0.0, ${e}, ${exists(n)})`);
  return [...(isHeavy(form, cells) ? [] : listCells(cells)), listed("cellE", "f32", gradients), loop("if (cellE[n] != 0.0) { learn(cellE[n], cellRaw[n], b, cellH[n], cellI[n], cellJ[n]); }")];
}

/** The cell `at` of a backward kernel, by the names that they all use: s raw, c cooked, dp, p, e; its head is h. */
export const cellOf = (at: string, i: string, j: string, ld: string): GradientCell => ({ raw: `s${at}`, score: `c${at}`, dp: `dp${at}`, p: `p${at}`, e: `e${at}`, h: "h", i, j, ld });
