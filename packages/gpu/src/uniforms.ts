import { UNIFORM_SLOT_BYTES, type ParamType } from "./kernel.ts";
import { numberOf, type Scalar } from "./live.ts";

/**
 * The scalars of a batch of dispatches, a slot each. They are gathered on the host and written at once before the batch is
 * sent, since `queue.writeBuffer` runs ahead of everything recorded.
 */
export class UniformSlots {
  readonly bytes: ArrayBuffer;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #f32: Float32Array;

  constructor(slots: number) {
    this.bytes = new ArrayBuffer(slots * UNIFORM_SLOT_BYTES);
    this.#u32 = new Uint32Array(this.bytes);
    this.#i32 = new Int32Array(this.bytes);
    this.#f32 = new Float32Array(this.bytes);
  }

  set<P extends string>(slot: number, types: readonly { readonly name: P; readonly type: ParamType }[], values: Readonly<Record<P, Scalar>>): void {
    const base = (slot * UNIFORM_SLOT_BYTES) / 4;
    types.forEach(({ name, type }, i) => { this.put(base + i, type, numberOf(values[name])); });
  }

  /** Sets one 32-bit word, counted from the first slot. */
  put(word: number, type: ParamType, value: number): void {
    const words = type === "f32" ? this.#f32 : type === "u32" ? this.#u32 : this.#i32;
    words[word] = value;
  }
}
