import { PolyheadError, type KvCache, type Remembered, type ResolvedSpec } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { ForwardOptions, LanguageModel, ModelCacheOptions, PrefillOptions } from "./language-model.ts";
import { prefillInChunks } from "./prefill.ts";
import type { Stack, StackForward, StackMemory } from "./stack.ts";
import { idTensor } from "./token-ids.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** The decoder of an encoder-decoder, as its model sees it. */
export interface DecoderEnds {
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly vocabulary: Vocabulary;
  readonly stack: Stack;
  hidden(ids: Tensor, options: StackForward): Tensor;
}

/** A decoder beside what it looks at, whose keys and values in every cross-attention are made once and read at every step. */
export class MemoryDecoder implements LanguageModel {
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly #ends: DecoderEnds;
  readonly #memory: StackMemory;
  readonly #batch: number;
  readonly #owned: readonly Tensor[];

  constructor(ends: DecoderEnds, { source, ...limits }: StackMemory & { readonly source: Tensor }) {
    const { engine, stack } = ends;
    this.engine = engine;
    this.spec = ends.spec;
    this.#ends = ends;
    this.#batch = source.shape[0]!;
    const kept = (tensor: Tensor): Tensor => engine.keep(tensor.contiguous());
    const remembered = engine.noGrad(() => engine.scope(() => stack.remember(source)?.map(({ tensors }): Remembered<Tensor> => ({ tensors: Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, kept(tensor)])) }))));
    const read = remembered ?? source.alias();
    this.#owned = "shape" in read ? [read] : read.flatMap(({ tensors }) => Object.values(tensors));
    this.#memory = { source: read, ...limits };
  }

  /** Device memory of what is read at every step. */
  get bytes(): number {
    return this.#owned.reduce((sum, { size }) => sum + 4 * size, 0);
  }

  createCache(options: ModelCacheOptions): KvCache<Tensor>[] {
    return this.#ends.stack.createCache(options);
  }

  /** @throws PolyheadError `MODEL_MEMORY` unless there is a row of ids for each row of the memory. */
  logits(ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.engine.scope(() => this.#ends.vocabulary.logits(this.#hidden(ids, options)));
  }

  prefill(ids: Tensor, { cache, chunk, positions, ...options }: PrefillOptions): Tensor {
    const { engine } = this;
    this.checkRoom(ids.shape[1] ?? 0, cache);
    const chunks = { cache, ...(chunk !== undefined && { chunk }), ...(positions && { positions }) };
    return engine.noGrad(() => engine.scope(() => this.#ends.vocabulary.logits(prefillInChunks(engine, ids, chunks, (part, at) => this.#hidden(part, { ...options, ...at, cache })))));
  }

  checkRoom(rows: number, cache: ForwardOptions["cache"]): number {
    return this.#ends.stack.checkRoom(rows, cache);
  }

  ids(ids: ArrayLike<number>, batch: number = this.#batch): Tensor {
    return idTensor(this.engine, ids, batch, this.spec.vocab);
  }

  /** Frees what is read at every step. */
  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }

  #hidden(ids: Tensor, options: ForwardOptions): Tensor {
    const [batch] = ids.shape;
    if (batch !== this.#batch) throw new PolyheadError("MODEL_MEMORY", `${String(batch)} rows of ids beside a memory of ${this.#batch}`, "decode as many sequences as were encoded");
    return this.#ends.hidden(ids, { ...options, memory: this.#memory });
  }
}
