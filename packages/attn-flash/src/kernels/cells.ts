// What becomes of the cells of a tile, whichever template holds them. A cell is one score: row i of head h against row j of k.
import type { FlashForm } from "../spec.ts";
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

/** Bias, hooks and mask; not yet the ranges of keys. Declares `score` unless it is `raw`. */
export function judge({ program }: FlashForm, cells: readonly Cell[]): string[] {
  return [
    ...cells.map(({ raw, score, h, i, j }) => `${raw === score ? "" : "var "}${score} = cooked(${raw}, b, ${h}, ${i}, ${j});`),
    ...(program.mask === undefined ? [] : cells.map(({ score, h, i, j }) => `${score} = select(${MASKED}, ${score}, allowed(b, ${h}, ${i}, ${j}));`)),
  ];
}

/** Weights and gradients: e = p (dp − Δ) ∂hooks/∂s, and 0 where p is: there dp and the derivative may be anything. */
export function differentiate(cells: readonly GradientCell[], slope: boolean): string[] {
  return cells.map(({ raw, score, h, i, j, dp, ld, p, e }) => `let ${p} = exp2(${score} - ${ld}.x); let ${e} = select(0.0, ${p} * (${dp} - ${ld}.y)${slope ? ` * slope(${raw}, b, ${h}, ${i}, ${j})` : ""}, ${p} > 0.0);`);
}

/** The cell `at` of a backward kernel, by the names that they all use: s raw, c cooked, dp, p, e; its head is h. */
export const cellOf = (at: string, i: string, j: string, ld: string): GradientCell => ({ raw: `s${at}`, score: `c${at}`, dp: `dp${at}`, p: `p${at}`, e: `e${at}`, h: "h", i, j, ld });
