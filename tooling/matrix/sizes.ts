/** Small, so that edges are a large part of the whole, and rows for two blocks of 16, of which the second is mostly edge. */
export const SIZES = { batch: 2, rows: 19, width: 16 } as const;

/** Positions that a table must reach: the largest offset of the lists and the rows fit. */
export const CONTEXT = 24;

/** Rows that the first of two chunks puts into a cache. */
export const CACHED = 11;
