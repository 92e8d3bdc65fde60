/** Something costly that several contenders use, made when the first of them asks and disposed of when the last has released it. */
export interface Sharing<K, T> {
  take(key: K, make: () => Promise<T>): Promise<{ readonly value: T; readonly release: () => void }>;
}

export function sharing<K, T>(dispose: (value: T) => void): Sharing<K, T> {
  const held = new Map<K, { readonly made: Promise<T>; users: number }>();
  return {
    async take(key, make) {
      const entry = held.get(key) ?? { made: make(), users: 0 };
      held.set(key, entry);
      entry.users++;
      const release = (): void => {
        entry.users--;
        if (entry.users > 0) return;
        if (held.get(key) === entry) held.delete(key);
        void entry.made.then(dispose, () => undefined);
      };
      try {
        return { value: await entry.made, release };
      } catch (cause) {
        release();
        throw cause;
      }
    },
  };
}
