/** What every plugin carries. Plugins are plain frozen objects, recognised by this shape and never by `instanceof`. */
export interface PluginBase<K extends string, N extends string> {
  readonly kind: K;
  readonly name: N;
  /** The version of the contract. */
  readonly spec: 1;
}
