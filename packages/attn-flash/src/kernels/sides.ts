// How a kernel that walks over one side reads it.

/** `t` names a row, `n` numbers it, `c` is a group of four. x and y are what is read of a row: k and v, or q and g. */
export interface Side {
  /** Statements that declare where row number `n`, named `t`, starts. */
  readonly open: (t: string, n: string) => string;
  readonly x: (t: string, c: string) => string;
  readonly y: (t: string, c: string) => string;
  /** The row (u32) that loop value `at` (i32) stands for, kept inside of what may be read. */
  readonly clamp: (at: string) => string;
}

/** Rows of k and v, of key head `hk`. */
export const keySide: Side = {
  open: (t, j) => `let xb${t} = keyBase(b, hk, ${j}); let yb${t} = valueBase(b, hk, ${j}); let xp${t} = i32(${j}) + params.kvOffset;`,
  x: (t, c) => `kRow(xb${t}, ${c}, xp${t}, i32(hk))`,
  y: (t, c) => `vRow(yb${t}, ${c})`,
  clamp: (at) => `u32(clamp(${at}, firstJ, lastJ))`,
};

/** Rows of q and of the gradient of o, of query head `h`. */
export const querySide: Side = {
  open: (t, i) => `let xb${t} = queryBase(b, h, ${i}); let yb${t} = gradientBase(b, h, ${i}); let xp${t} = i32(${i}) + params.qOffset;`,
  x: (t, c) => `qRow(xb${t}, ${c}, xp${t}, i32(h))`,
  y: (t, c) => `g[yb${t} + ${c}]`,
  clamp: (at) => `min(u32(${at}), params.queries - 1u)`,
};

/** Statements that set `into` to group c of x (or y) of the row that stands `n` after loop value `at`. */
export const readX = ({ open, x, clamp }: Side, at: string) => (n: string, c: string, into: string): string => `let row = ${clamp(`${at} + i32(${n})`)}; ${open("n", "row")} ${into} = ${x("n", c)};`;
export const readY = ({ open, y, clamp }: Side, at: string) => (n: string, c: string, into: string): string => `let row = ${clamp(`${at} + i32(${n})`)}; ${open("n", "row")} ${into} = ${y("n", c)};`;
