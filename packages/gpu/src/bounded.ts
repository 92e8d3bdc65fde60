/** A map that forgets what was asked for longest ago, once it holds more than `most`. */
export class Bounded<K, V> {
  readonly #entries = new Map<K, V>();
  readonly #most: number;
  readonly #forget: (value: V) => void;

  constructor(most: number, forget: (value: V) => void = () => undefined) {
    this.#most = most;
    this.#forget = forget;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What is kept for `key`, or else what `make` makes, kept from now on. */
  get(key: K, make: () => V): V {
    const known = this.#entries.get(key);
    const value = known ?? make();
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#most) this.#dropOldest();
    return value;
  }

  #dropOldest(): void {
    for (const [key, value] of this.#entries) {
      this.#entries.delete(key);
      this.#forget(value);
      return;
    }
  }
}
