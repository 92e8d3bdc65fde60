/** Where a parameter's gradient lies in a bucket. */
export interface BucketPart {
  /** Its place among the parameters. */
  readonly parameter: number;
  /** In elements, from the start of the bucket. */
  readonly start: number;
}

/** Gradients that are summed over the ranks in one go. */
export interface Bucket {
  readonly parts: readonly BucketPart[];
  /** In elements, the gaps between parts included. */
  readonly length: number;
}

/** Gradients in a bucket are bound as they lie, and a binding starts at a multiple of 256 bytes. */
const ALIGNMENT = 64;

/** The next place at which something may start. */
const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/**
 * Cuts parameters into buckets of up to `bytes` bytes, a larger one being a bucket of its own. They go from the last parameter to the
 * first, about the order in which a backward pass ends with them; it is the same on all ranks, whatever their timing.
 *
 * @param sizes  elements of each parameter
 */
export function planBuckets(sizes: readonly number[], bytes: number): Bucket[] {
  const buckets: Bucket[] = [];
  let parts: BucketPart[] = [];
  let length = 0;
  const close = (): void => {
    if (parts.length > 0) buckets.push({ parts, length });
    [parts, length] = [[], 0];
  };
  for (let parameter = sizes.length - 1; parameter >= 0; parameter--) {
    const size = sizes[parameter]!;
    if (4 * (aligned(length) + size) > bytes) close();
    const start = aligned(length);
    parts.push({ parameter, start });
    length = start + size;
  }
  close();
  return buckets;
}
