interface Weights {
  readonly weights: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>;
}

/** How our parameters are called in the bench's problem; per layer, `blocks.N.` becomes `N.`. */
const whole: Readonly<Record<string, string>> = {
  "embedding.weight": "wte",
  "embedding.head": "head",
  "position.learned.table": "wpe",
  "norm.weight": "norm.weight",
  "norm.bias": "norm.bias",
};
const perLayer: Readonly<Record<string, string>> = {
  "attention.norm": "norm1",
  "attention.qkv": "qkv",
  "attention.out": "proj",
  "feedForward.norm": "norm2",
  "feedForward.up": "up",
  "feedForward.down": "down",
};

/**
 * The initial numbers of one of our parameters. The problem's matrices are [in, out], ours [out, in], tables excepted.
 *
 * @throws Error for a parameter that the problem does not have: our model is then another one than the peers'.
 */
export function weightFor(name: string, { weights }: Weights): Float32Array {
  const [, layer, part, kind] = /^blocks\.(\d+)\.(\w+\.\w+)\.(weight|bias)$/.exec(name) ?? [];
  const theirs = layer === undefined ? whole[name] : `${layer}.${perLayer[part ?? ""] ?? "?"}.${kind ?? "?"}`;
  const weight = weights[theirs ?? ""];
  if (theirs === undefined || weight === undefined) throw new Error(`the bench's model has no counterpart of parameter '${name}'`);
  const [rows = 0, columns] = weight.shape;
  const isTable = theirs === "wte" || theirs === "wpe";
  return columns === undefined || isTable ? weight.data : transposed(weight.data, rows, columns);
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? NaN);
}
