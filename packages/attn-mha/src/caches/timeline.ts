import { PolyheadError } from "@polyhead/core";

export interface TimelineOptions {
  readonly capacity: number;
  /** How many rows before its own a query may see, where the oldest rows are dropped when it is full. */
  readonly window?: number | undefined;
}

/** Which rows of a text a cache holds: `first` to `length`, in global positions. */
export class Timeline {
  readonly capacity: number;
  readonly window: number | undefined;
  /** Rows seen so far. */
  length = 0;
  /** The oldest row that is held. */
  first = 0;

  /** @throws PolyheadError `ATTN_CACHE_CAPACITY`; `ATTN_CACHE_SLIDE` when a window does not fit. */
  constructor({ capacity, window }: TimelineOptions) {
    if (!(Number.isInteger(capacity) && capacity >= 1)) throw new PolyheadError("ATTN_CACHE_CAPACITY", `a cache of ${capacity} rows`, "give a whole number of at least 1");
    if (window !== undefined && window >= capacity) {
      throw new PolyheadError("ATTN_CACHE_SLIDE", `queries look back ${window === Infinity ? "without bound" : `${window} rows`}; a cache of ${capacity} rows cannot drop any of them`, window === Infinity ? "leave out overflow: 'slide', or use a window mask" : `give it a capacity of at least ${window + 1}, or leave out overflow: 'slide'`);
    }
    this.capacity = capacity;
    this.window = window;
  }

  get held(): number {
    return this.length - this.first;
  }

  /** See `KvCache.largestStep`. */
  get largestStep(): number {
    return this.capacity - (this.window ?? 0);
  }

  /** Oldest row that a query from `length` on can still see. */
  get needed(): number {
    return this.window === undefined ? this.first : Math.max(this.first, this.length - this.window);
  }

  /**
   * Whether `rows` more fit only if old ones go.
   *
   * @throws PolyheadError `ATTN_CACHE_FULL` when they do not fit at all.
   */
  overflows(rows: number): boolean {
    const { capacity, held, window, largestStep } = this;
    if (held + rows <= capacity) return false;
    if (window !== undefined && this.length - this.needed + rows <= capacity) return true;
    if (window !== undefined) throw new PolyheadError("ATTN_CACHE_FULL", `${rows} rows at once beside the ${window} that queries look back on do not fit a sliding cache of ${capacity}`, `feed at most ${largestStep} rows at a time, or give it a larger capacity`);
    throw new PolyheadError("ATTN_CACHE_FULL", `${rows} more rows do not fit a cache that holds ${held} of ${capacity}`, "make it with a larger capacity, or truncate it and read the last part of the text again");
  }

  /** @throws PolyheadError `ATTN_CACHE_LENGTH`. */
  truncate(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.length)) throw new PolyheadError("ATTN_CACHE_LENGTH", `truncate(${length}) of a cache that holds ${this.length} rows`, `give a whole number from 0 to ${this.length}`);
    const least = this.first + (this.window ?? 0);
    if (length > 0 && this.first > 0 && length < least) throw new PolyheadError("ATTN_CACHE_LENGTH", `truncate(${length}) of a sliding cache that has dropped the rows before ${this.first}, which a query there would see`, `give 0, or a whole number from ${least} to ${this.length}`);
    this.length = length;
    if (length === 0) this.first = 0;
  }
}
