/**
 * What core knows of a tensor: its shape and its element type. Contracts take the tensor type as a parameter `T`,
 * so that core needs no GPU; plugins built on `@polyhead/tensor` instantiate them with its `Tensor`.
 */
export interface TensorLike {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** The engine a tensor type belongs to, where the tensor names it (`tensor.engine`). */
export type EngineOf<T> = T extends { readonly engine: infer E } ? E : unknown;
