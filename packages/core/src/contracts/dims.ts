/** The sizes of the model a part is created for. */
export interface ModelDims {
  /** Features of the residual stream. */
  readonly width: number;
  readonly layers: number;
  /** The longest sequence, in tokens. */
  readonly context: number;
  readonly vocab: number;
  /** Drop probability in training. */
  readonly dropout: number;
  /** No query sees a key after it: the mask of the model allows no look ahead. */
  readonly causal: boolean;
  /** Query heads; known once the attention layer is created, so positions see it and attentions do not. */
  readonly heads?: number;
  /** Features of a query or key head that qk hooks see, known like `heads`. */
  readonly headDim?: number;
}
