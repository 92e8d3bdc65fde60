import { PolyheadError } from "@polyhead/core";
import { storedTensor, type ByteSource, type TensorEntry } from "@polyhead/core/safetensors";
import type { Family, HfConfig, Piece } from "./family.ts";
import type { TensorStore } from "./tensor-store.ts";

/** The legacy format of llama2.c: seven numbers, then f32 weights one after the other, without names. */
const NUMBERS = ["dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len"] as const;
const HEADER_BYTES = 4 * NUMBERS.length;
/** More than any model has, so that products stay exact; each layer has names of its own, of which a false header may not ask for many. */
const MOST = 1 << 22;
const MOST_LAYERS = 1024;

type Sizes = Readonly<Record<(typeof NUMBERS)[number], number>> & { readonly shared: boolean };

const broken = (code: string, message: string): PolyheadError => new PolyheadError(code, message, "give a model that llama2.c's export.py wrote with --version 0, complete");

function readSizes(bytes: Uint8Array, label: string): Sizes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const sizes = Object.fromEntries(NUMBERS.map((name, i) => [name, view.getInt32(4 * i, true)])) as Record<(typeof NUMBERS)[number], number>;
  // A classifier of its own is told by the sign of the vocabulary.
  const shared = sizes.vocab_size > 0;
  sizes.vocab_size = Math.abs(sizes.vocab_size);
  for (const name of NUMBERS) {
    const most = name === "n_layers" ? MOST_LAYERS : MOST;
    if (!(sizes[name] >= 1 && sizes[name] <= most)) throw broken("LLAMA2C_HEADER", `${label} says that its ${name} is ${sizes[name]}; expected 1 to ${most}`);
  }
  const { dim, n_heads: heads, n_kv_heads: kvHeads } = sizes;
  if (dim % heads !== 0 || (dim / heads) % 2 !== 0 || heads % kvHeads !== 0) throw broken("LLAMA2C_HEADER", `${label} says that it has ${heads} heads, ${kvHeads} for keys, in a width of ${dim}; expected heads of one even size that share their keys evenly`);
  return { ...sizes, shared };
}

/** The tensors in the order of the file. Each layer's lie together by kind; two tables of angles at the end are computed anew and not read. */
function layout({ dim, hidden_dim: hidden, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, vocab_size: vocab, max_seq_len: context, shared }: Sizes): { readonly name: string; readonly shape: readonly number[] }[] {
  const headDim = dim / heads;
  const keys = kvHeads * headDim;
  const each = (name: string, ...shape: number[]) => Array.from({ length: layers }, (_, layer) => ({ name: `layers.${layer}.${name}`, shape }));
  return [
    { name: "token_embedding_table", shape: [vocab, dim] },
    ...each("rms_att_weight", dim),
    ...each("wq", dim, dim), ...each("wk", keys, dim), ...each("wv", keys, dim), ...each("wo", dim, dim),
    ...each("rms_ffn_weight", dim),
    ...each("w1", hidden, dim), ...each("w2", dim, hidden), ...each("w3", hidden, dim),
    { name: "rms_final_weight", shape: [dim] },
    { name: "freq_cis_real", shape: [context, headDim / 2] }, { name: "freq_cis_imag", shape: [context, headDim / 2] },
    ...(shared ? [] : [{ name: "wcls", shape: [vocab, dim] }]),
  ];
}

/**
 * Opens a model in llama2.c's legacy format (the 260K story model and its siblings) by its header.
 *
 * @returns a config for the family {@link llama2c}, and the tensors under names of the C program's
 * @throws PolyheadError `LLAMA2C_SIZE` when the file has another length than its header asks for, `LLAMA2C_HEADER`.
 */
export async function readLlama2c(source: ByteSource): Promise<{ readonly config: HfConfig; readonly store: TensorStore }> {
  const { label, size } = source;
  if (size < HEADER_BYTES) throw broken("LLAMA2C_SIZE", `${label} has ${size} bytes; its header takes ${HEADER_BYTES}`);
  const sizes = readSizes(await source.read(0, HEADER_BYTES), label);
  const entries = new Map<string, TensorEntry>();
  let at = HEADER_BYTES;
  for (const { name, shape } of layout(sizes)) {
    const elements = shape.reduce((product, n) => product * n, 1);
    entries.set(name, { name, dtype: "F32", shape, size: elements, begin: at, end: (at += 4 * elements) });
    if (at > size) break;
  }
  if (at !== size) throw broken("LLAMA2C_SIZE", `${label} has ${size} bytes; a model of the sizes in its header has ${at > size ? "more" : at}`);
  const entry = (name: string): TensorEntry => {
    const found = entries.get(name);
    if (found === undefined) throw new PolyheadError("SAFETENSORS_MISSING", `${label} has no tensor '${name}'`, "ask for a name listed in .names");
    return found;
  };
  return {
    // A story ends where the next one begins.
    config: { model_type: "llama2c", ...sizes, bos_token_id: 1, eos_token_id: [1, 2] },
    store: {
      label,
      names: [...entries.keys()],
      has: (name) => entries.has(name),
      entry,
      read: async (name) => {
        const wanted = entry(name);
        return storedTensor(wanted, await source.read(wanted.begin, wanted.end));
      },
    },
  };
}

/**
 * Llama as llama2.c stores it: queries and keys turn in adjacent pairs, as they were trained. In Hugging Face's files the rows of
 * each head are reordered to turn in halves; both give the same logits.
 */
export const llama2c: Family = {
  name: "llama2c",
  modelTypes: ["llama2c"],
  prefixes: [],
  ignored: [/^freq_cis_(real|imag)$/],
  spec: (config) => {
    const { dim, hidden_dim: hidden, n_layers: layers, n_heads: heads, n_kv_heads: kvHeads, vocab_size: vocab, max_seq_len: context, shared } = config as Sizes & HfConfig;
    return {
      architecture: "decoder", layers, width: dim, vocab, context,
      attention: { use: "mha", heads, kvHeads, bias: false },
      position: { use: "rope", layout: "interleaved" },
      norm: { use: "rms", epsilon: 1e-5, place: "pre" },
      embedding: { use: shared ? "tied" : "untied" },
      feedForward: { use: "swiglu", width: hidden, bias: false },
    };
  },
  weights: (_spec, config) => {
    const sizes = config as Sizes & HfConfig;
    const shapes = new Map(layout(sizes).map(({ name, shape }) => [name, shape]));
    const piece = (tensor: string): Piece => ({ tensor, shape: shapes.get(tensor)! });
    const map = new Map<string, Piece[]>();
    map.set("embedding.weight", [piece("token_embedding_table")]);
    if (!sizes.shared) map.set("embedding.head", [piece("wcls")]);
    for (let layer = 0; layer < sizes.n_layers; layer++) {
      const of = (name: string): Piece => piece(`layers.${layer}.${name}`);
      map.set(`blocks.${layer}.attention.norm.weight`, [of("rms_att_weight")]);
      map.set(`blocks.${layer}.attention.qkv.weight`, [of("wq"), of("wk"), of("wv")]);
      map.set(`blocks.${layer}.attention.out.weight`, [of("wo")]);
      map.set(`blocks.${layer}.feedForward.norm.weight`, [of("rms_ffn_weight")]);
      map.set(`blocks.${layer}.feedForward.up.weight`, [of("w1"), of("w3")]);
      map.set(`blocks.${layer}.feedForward.down.weight`, [of("w2")]);
    }
    map.set("norm.weight", [piece("rms_final_weight")]);
    return map;
  },
};
