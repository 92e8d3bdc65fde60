import { GpuError } from "./errors.ts";
import { BufferHold } from "./hold.ts";
import { UNIFORM_SLOT_BYTES, type Kernel, type ParamType } from "./kernel.ts";
import type { LiveNumber, Scalar } from "./live.ts";
import type { BufferPool, BufferSlice } from "./pool.ts";
import { Recording, type LiveScalar, type RecordedCopy, type RecordedDispatch, type RecordedPass, type RecordingHost } from "./recording.ts";
import { UniformSlots } from "./uniforms.ts";

/** One dispatch as it was noted, before it has a uniform slot. */
interface Noted {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly types: readonly ParamType[];
  readonly scalars: readonly Scalar[];
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** Takes notes while work runs as usual, and makes a `Recording` of them. */
export class Recorder {
  readonly hold: BufferHold = new BufferHold();
  readonly #pool: BufferPool;
  readonly #parts: (Noted[] | RecordedCopy)[] = [];
  #refused: GpuError | undefined;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  run(work: () => unknown): void {
    const result = work();
    if (!(result instanceof Promise)) return;
    result.catch(() => undefined); // superseded by the error below
    this.refuse("record() was given an asynchronous function", "read results after it, between two replays");
  }

  dispatch<P extends string>(kernel: Kernel<string, P>, pipeline: GPUComputePipeline, bound: { readonly group: GPUBindGroup; readonly slices: readonly BufferSlice[] }, params: Readonly<Record<P, Scalar>>, workgroups: Noted["workgroups"]): void {
    for (const { buffer } of bound.slices) this.#pool.holdWhileRecording(buffer);
    const noted: Noted = { pipeline, group: bound.group, types: kernel.params.map(({ type }) => type), scalars: kernel.params.map(({ name }) => params[name]), workgroups };
    const last = this.#parts.at(-1);
    if (Array.isArray(last)) last.push(noted);
    else this.#parts.push([noted]);
  }

  copy(from: BufferSlice, to: BufferSlice, bytes: number): void {
    for (const { buffer } of [from, to]) this.#pool.holdWhileRecording(buffer);
    this.#parts.push({ from: from.buffer.buffer, fromOffset: from.offset, to: to.buffer.buffer, toOffset: to.offset, bytes });
  }

  /** Throws, and makes the whole recording fail should the caller swallow it. */
  refuse(what: string, fix: string): never {
    const error = replayError(what, fix);
    this.#refused ??= error;
    throw error;
  }

  /** @throws GpuError `GPU_REPLAY` when something was refused on the way. */
  seal(host: RecordingHost): Recording {
    if (this.#refused !== undefined) throw this.#refused;
    const noted = this.#parts.flatMap((part) => (Array.isArray(part) ? part : []));
    // Slots that hold live numbers come first, so that one write renews them all.
    const withScalars = noted.filter(({ scalars }) => scalars.length > 0);
    const isLive = ({ scalars }: Noted): boolean => scalars.some((scalar) => typeof scalar !== "number");
    const slotted = [...withScalars.filter(isLive), ...withScalars.filter((one) => !isLive(one))];
    const slots = new UniformSlots(slotted.length);
    const targets = new Map<LiveNumber, LiveScalar["targets"][number][]>();
    slotted.forEach(({ types, scalars }, slot) => {
      scalars.forEach((scalar, i) => {
        const word = (slot * UNIFORM_SLOT_BYTES) / 4 + i;
        if (typeof scalar === "number") slots.put(word, types[i]!, scalar);
        else targets.set(scalar, [...(targets.get(scalar) ?? []), { word, type: types[i]! }]);
      });
    });
    const slotOf = new Map(slotted.map((one, slot) => [one, slot]));
    return new Recording(host, {
      hold: this.hold,
      parts: this.#parts.map((part) => (Array.isArray(part) ? passOf(part, slotOf) : part)),
      slots,
      liveBytes: withScalars.filter(isLive).length * UNIFORM_SLOT_BYTES,
      live: [...targets].map(([number, words]) => ({ number, targets: words })),
      dispatches: noted.length,
    });
  }
}

/** Leaves out pipelines that are set already. */
function passOf(noted: readonly Noted[], slotOf: ReadonlyMap<Noted, number>): RecordedPass {
  let bound: GPUComputePipeline | undefined;
  const dispatches = noted.map((one): RecordedDispatch => {
    const { pipeline, group, workgroups: [x, y, z] } = one;
    const slot = slotOf.get(one);
    const next = pipeline === bound ? undefined : pipeline;
    bound = pipeline;
    return { pipeline: next, group, offsets: slot === undefined ? undefined : [slot * UNIFORM_SLOT_BYTES], x, y, z };
  });
  return { dispatches };
}

export const replayError = (what: string, fix: string): GpuError => new GpuError("GPU_REPLAY", what, fix);
