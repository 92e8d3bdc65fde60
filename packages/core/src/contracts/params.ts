/** How a parameter starts: drawn from N(0, std²), a constant, or given values (row-major, `product(shape)` of them). */
export type ParamInit =
  | "zeros"
  | "ones"
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "values"; readonly data: Float32Array };

/** A parameter as a plugin declares it; the model allocates it, the optimiser updates it, the checkpoint stores it. */
export interface ParamSpec {
  readonly shape: readonly number[];
  readonly init: ParamInit;
  /** Weight decay applies. The usual rule is `shape.length >= 2`: matrices and tables decay, biases and gains do not. */
  readonly decay: boolean;
  /** Projects into the residual stream: a normal init is scaled by 1/√(2·layers), as in GPT-2. Default false. */
  readonly residual?: boolean;
  /** Default true. A parameter that is not trainable (a sinusoidal table) gets no gradient and no optimiser state. */
  readonly trainable?: boolean;
}

/** Parameters by their local name; the model prefixes the path. */
export type ParamSpecs = Readonly<Record<string, ParamSpec>>;

/** The tensors behind a layer's {@link ParamSpecs}, by the same names. */
export type Params<T> = Readonly<Record<string, T>>;

/** The same parameters in float64, row-major, for a reference. */
export type Params64 = Readonly<Record<string, Float64Array>>;
