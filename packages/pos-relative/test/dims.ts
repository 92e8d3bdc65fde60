import type { ModelDims } from "@polyhead/core";

export const dims: Required<ModelDims> = { width: 16, layers: 1, context: 64, vocab: 2, dropout: 0, causal: true, heads: 4, headDim: 8 };
