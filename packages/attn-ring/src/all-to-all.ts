import type { Communicator } from "@polyhead/core";
import type { Gpu } from "@polyhead/gpu";
import { cast, type Tensor } from "@polyhead/tensor";
import { TAG } from "./circulation.ts";
import { lengthOf, piecesOf, type Piece, type RingLayout } from "./layout.ts";

/** Rows of every head `[B, H, rows of this rank, D]` against all rows of some heads `[B, H / ranks, T, D]`, in global order. */
export class AllToAll {
  readonly #gpu: Gpu;
  readonly #communicator: Communicator;
  readonly #pieces: readonly (readonly Piece[])[];
  readonly #length: number;

  constructor(gpu: Gpu, communicator: Communicator, layout: RingLayout, length: number) {
    this.#gpu = gpu;
    this.#communicator = communicator;
    this.#pieces = Array.from({ length: communicator.size }, (_, rank) => piecesOf(layout, rank, communicator.size, length));
    this.#length = length;
  }

  /** All rows of this rank's heads; f32 or the dtype of x. */
  gather(x: Tensor): Tensor {
    const { engine } = x;
    return engine.scope(() => {
      const [B = 0, H = 0, , D = 0] = x.shape;
      const { size, rank } = this.#communicator;
      const heads = H / size;
      // Strided copies are of 32-bit numbers.
      const wide = x.dtype === "f16" ? cast(x, "f32") : x;
      const leaving = this.#pieces.map((_, to) => wide.narrow(1, to * heads, heads).contiguous());
      const coming = this.#pieces.map((pieces, from) => (from === rank ? leaving[rank]! : engine.empty([B, heads, lengthOf(pieces), D])));
      this.#trade(leaving, coming);
      const whole = engine.empty([B, heads, this.#length, D]);
      coming.forEach((part, from) => { this.#runs(whole, part, from, (run, rows) => { engine.assign(run, rows); }); });
      return x.dtype === "f16" ? cast(whole, "f16") : whole;
    });
  }

  /** This rank's rows of all heads, in f32. */
  scatter(x: Tensor): Tensor {
    const { engine } = x;
    return engine.scope(() => {
      const [B = 0, heads = 0, , D = 0] = x.shape;
      const { size, rank } = this.#communicator;
      const wide = x.dtype === "f16" ? cast(x, "f32") : x;
      const rows = lengthOf(this.#pieces[rank]!);
      const leaving = this.#pieces.map((pieces, to) => {
        const part = engine.empty([B, heads, lengthOf(pieces), D]);
        this.#runs(wide, part, to, (run, mine) => { engine.assign(mine, run); });
        return part;
      });
      const coming = this.#pieces.map((_, from) => (from === rank ? leaving[rank]! : engine.empty([B, heads, rows, D])));
      this.#trade(leaving, coming);
      const all = engine.empty([B, heads * size, rows, D]);
      coming.forEach((part, from) => { engine.assign(all.narrow(1, from * heads, heads), part); });
      return all;
    });
  }

  /** Where the rows of a rank lie in the whole, run by run. */
  #runs(whole: Tensor, part: Tensor, rank: number, visit: (run: Tensor, rows: Tensor) => void): void {
    const [b = 0, h = 0, t = 0, d = 0] = whole.strides;
    let at = 0;
    for (const { start, stride, length } of this.#pieces[rank]!) {
      const run = whole.view({ shape: [...whole.shape.slice(0, 2), length, whole.shape[3]!], strides: [b, h, t * stride, d], offset: whole.offset + start * t });
      visit(run, part.narrow(2, at, length));
      at += length;
    }
  }

  /** Sends each rank its part, and receives from each. */
  #trade(leaving: readonly Tensor[], coming: readonly Tensor[]): void {
    const communicator = this.#communicator;
    const { rank, size } = communicator;
    const [sources, targets] = [leaving, coming].map((parts) => parts.map((part) => part.slice()));
    this.#gpu.hostStep(async (host) => {
      await Promise.all(Array.from({ length: size - 1 }, async (_, i) => {
        const [to, from] = [(rank + i + 1) % size, (rank - i - 1 + size) % size];
        const [data, into] = [new Uint8Array(sources![to]!.size), new Uint8Array(targets![from]!.size)];
        await host.read(sources![to]!, data);
        await communicator.sendrecv({ send: { data, to }, receive: { into, from }, tag: TAG.heads }).wait();
        host.write(targets![from]!, into);
      }));
    });
  }
}
