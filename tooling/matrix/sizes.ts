/** Small, and odd where nothing demands otherwise: an edge is then a large part of the whole. */
export const SIZES = { batch: 2, rows: 7, width: 16 } as const;

/** Positions that a table must reach: the largest offset of the lists and the rows fit. */
export const CONTEXT = 12;

/** Rows that the first of two chunks puts into a cache. */
export const CACHED = 4;
