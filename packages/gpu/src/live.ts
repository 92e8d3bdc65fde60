/**
 * A number that is read when a dispatch is sent, and read anew whenever it is replayed: the position of a decode step, the
 * learning rate of a training step. Anything with a `value` is one.
 */
export interface LiveNumber {
  readonly value: number;
}

/** A scalar of a dispatch. */
export type Scalar = number | LiveNumber;

/** What a scalar is right now. */
export const numberOf = (scalar: Scalar): number => (typeof scalar === "number" ? scalar : scalar.value);

/** `of(numberOf(scalar))`, live where the scalar is. */
export function derived(scalar: Scalar, of: (value: number) => number): Scalar {
  if (typeof scalar === "number") return of(scalar);
  return { get value() { return of(scalar.value); } };
}
