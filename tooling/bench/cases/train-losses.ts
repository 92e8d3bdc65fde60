/** Losses of the first training steps of the bench's model, walked in float64 by `record-losses.ts`. */
export const referenceLosses: readonly number[] = [
  5.605929641,
  5.500101692,
  5.324651216,
  5.020897638,
  4.878416536,
  4.701352102,
  4.462566985,
  4.294987036,
  4.152206305,
  3.981284552,
  3.852040568,
  3.665544209,
];
