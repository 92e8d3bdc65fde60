/** A whole number that may change between two replays of one recorded step: whoever uses it reads `value` when it is needed. */
export type Count = number | { readonly value: number };
