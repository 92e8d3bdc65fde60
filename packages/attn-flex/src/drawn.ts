import { allows, evaluate, type Mask, type Program } from "@polyhead/core";
import { toSvg, toText, type Picture } from "./picture.ts";

/** Where to look. */
export interface DrawOptions {
  /** Cells of the picture, down and across. Default 16. */
  readonly cells?: number;
  /** Global positions that it spans, from 0 on. Default: as many as show the modifier's shape. */
  readonly positions?: number;
  readonly b?: number;
  readonly h?: number;
}

/** A modifier that shows what it does. */
export interface Drawn {
  /** For a terminal: queries down, keys across. */
  draw(options?: DrawOptions): string;
  /** As a self-contained SVG. */
  toSVG(options?: DrawOptions): string;
}

type Painter = (options: Required<DrawOptions>) => Picture;

function drawnAs(positions: number, paint: Painter): Drawn {
  const picture = (options: DrawOptions = {}): Picture => paint({ cells: 16, positions, b: 0, h: 0, ...options });
  return { draw: (options) => toText(picture(options)), toSVG: (options) => toSvg(picture(options)) };
}

/** Samples of a cell that stands for more than one position, to each side. */
const SAMPLES = 4;

/** Positions that stand for cell `n`: all, or a few evenly spaced. */
function positionsOf(n: number, { cells, positions }: Required<DrawOptions>): number[] {
  const [from, end] = [Math.floor((n * positions) / cells), Math.max(Math.floor((n * positions) / cells) + 1, Math.floor(((n + 1) * positions) / cells))];
  const count = Math.min(SAMPLES, end - from);
  return Array.from({ length: count }, (_, i) => from + Math.floor((i * (end - from)) / count));
}

function meanOver(options: Required<DrawOptions>, value: (q: number, kv: number) => number): (row: number, column: number) => number {
  return (row, column) => {
    const values = positionsOf(row, options).flatMap((q) => positionsOf(column, options).map((kv) => value(q, kv)));
    return values.reduce((sum, one) => sum + one, 0) / values.length;
  };
}

/** A mask that draws itself: solid where all is allowed. Everything that takes a mask takes it. */
export function drawnMask<M extends Mask>(title: string, mask: M, positions: number): M & Drawn {
  const paint: Painter = (options) => {
    const { cells, b, h } = options;
    return { title, rows: cells, columns: cells, shade: meanOver(options, (q, kv) => (allows(mask, { b, h, q, kv }) ? 1 : 0)) };
  };
  return Object.freeze(Object.assign({}, mask, drawnAs(positions, paint)));
}

/** A modifier that adds to scores, drawn as what it makes of a score of 0: solid is the most in the picture, blank the least. */
export function drawnBias(title: string, program: Program, positions: number, value?: (at: { readonly h: number; readonly q: number; readonly kv: number }) => number): Program & Drawn {
  const paint: Painter = (options) => {
    const { cells, b, h } = options;
    const of = value ?? (({ q, kv }): number => Number(evaluate(program, { score: 0, b, h, q, kv })[0]));
    const mean = meanOver(options, (q, kv) => of({ h, q, kv }));
    const all = Array.from({ length: cells * cells }, (_, n) => mean(Math.floor(n / cells), n % cells));
    const [least, most] = [Math.min(...all), Math.max(...all)];
    return { title, rows: cells, columns: cells, shade: (row, column) => ((all[row * cells + column] ?? least) - least) / (most - least || 1) };
  };
  return Object.freeze({ ...program, ...drawnAs(positions, paint) });
}

/** A modifier of a score alone, drawn as a curve: scores from −reach to reach across, upwards what becomes of them, from −height to height. */
export function drawnCurve(title: string, program: Program, { reach, height }: { readonly reach: number; readonly height: number }): Program & Drawn {
  const paint: Painter = ({ cells }) => {
    const at = (n: number): number => ((2 * n + 1) / cells - 1) * reach;
    const row = (column: number): number => {
      const y = Number(evaluate(program, { score: at(column), b: 0, h: 0, q: 0, kv: 0 })[0]);
      return Math.min(cells - 1, Math.max(0, Math.floor(((height - y) / (2 * height)) * cells)));
    };
    return { title, rows: cells, columns: cells, shade: (i, column) => (row(column) === i ? 1 : 0) };
  };
  return Object.freeze({ ...program, ...drawnAs(0, paint) });
}
