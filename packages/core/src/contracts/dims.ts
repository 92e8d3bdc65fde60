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
  /** Query heads; known once the attention layer is created, so positions see it and attentions do not. */
  readonly heads?: number;
  /** Features of a query or key head, known like `heads`. */
  readonly headDim?: number;
}
