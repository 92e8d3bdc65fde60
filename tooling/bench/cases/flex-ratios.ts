import type { Facts } from "../contender.ts";
import type { Line } from "../report.ts";
import type { FlexCase } from "./flex.ts";

/** What a case's contenders are compared with: the line of a contender in another case of the group, or in the same. */
export type Bar = { readonly of: string; readonly contender: string } & (
  | { /** Its time over the other's, and what it may be at most where there is a bar. */ readonly most: number | "no bar" }
  | { /** The other's time over its own: at least so much. */ readonly times: number }
  | { /** Time a block that is not empty, over the other's: near 1 where time follows the blocks. */ readonly blocks: true }
);

/** A case of a group, and what came of it. */
export interface Barred {
  readonly listed: Pick<FlexCase, "name" | "bars">;
  readonly lines: readonly Line[];
}

/** Lines with what they amount to beside others of their group; nothing where either side is missing or wrong. */
export function withBars(raced: readonly Barred[]): Line[][] {
  return raced.map(({ listed: { bars = [] }, lines }) =>
    lines.map((line) => {
      if (!line.right || line.ms === null) return line;
      const ratios = bars.map((bar) => {
        const base = raced.find(({ listed }) => listed.name === bar.of)?.lines.find(({ contender, right }) => contender === bar.contender && right);
        return base === undefined || base === line ? {} : ratiosOf(bar, line, base);
      });
      const all: Facts = Object.assign({}, ...ratios) as Facts;
      return Object.keys(all).length === 0 ? line : { ...line, ratios: all };
    }),
  );
}

const digits = (value: number): number => Number(value.toPrecision(4));

function ratiosOf(bar: Bar, line: Line, base: Line): Facts {
  const [mine, other] = [line.ms ?? NaN, base.ms ?? NaN];
  const name = `${base.contender}, ${base.case}`;
  if ("times" in bar) return { [`times as fast as ${name}`]: digits(other / mine), bar: told(other / mine >= bar.times, `at least ${String(bar.times)}`) };
  if ("blocks" in bar) {
    const [blocks, baseBlocks] = [blocksOf(line), blocksOf(base)];
    return blocks === undefined || baseBlocks === undefined ? {} : { [`time a block of ${name}`]: digits(mine / blocks / (other / baseBlocks)) };
  }
  return { [`time of ${name}`]: digits(mine / other), ...(bar.most !== "no bar" && { bar: told(mine / other <= bar.most, `at most ${String(bar.most)}`) }) };
}

const told = (met: boolean, bar: string): string => `${bar}: ${met ? "met" : "missed"}`;

/** Blocks that a contender says it walks. */
function blocksOf({ facts }: Line): number | undefined {
  const [full, partial] = [facts?.["full blocks"], facts?.["partial blocks"]];
  return typeof full === "number" && typeof partial === "number" ? full + partial : undefined;
}
