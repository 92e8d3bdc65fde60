import type { Recording, Scalar } from "@polyhead/gpu";
import type { Capture } from "@polyhead/expr";
import type { Engine } from "./engine.ts";

/**
 * What a step draws and reads on the host while it is recorded, so that its replays can follow: random streams count on from
 * where the engine stands, and tables are uploaded again when their capture was set.
 */
export class StepNotes {
  /** Where the random streams of the run at hand start: of the recording itself, then of each replay. */
  start: number;
  readonly #recordedAt: number;
  readonly #tables = new Set<Capture>();

  constructor(position: number) {
    this.start = this.#recordedAt = position;
  }

  /** The stream at `position` of the recording, in every replay at the same distance from its start. */
  stream(position: number): Scalar {
    const call = position - this.#recordedAt;
    const stream = (): number => this.start + call;
    return { get value() { return stream(); } };
  }

  /** Random calls of one run. */
  callsUntil(position: number): number {
    return position - this.#recordedAt;
  }

  readsTable(capture: Capture): void {
    this.#tables.add(capture);
  }

  get tables(): Iterable<Capture> {
    return this.#tables;
  }
}

interface RecordedStepParts<T> {
  readonly engine: Engine;
  readonly recording: Recording;
  readonly notes: StepNotes;
  readonly outputs: T;
  readonly randomCalls: number;
  readonly upload: (capture: Capture) => void;
  readonly release: () => void;
}

/** A step that runs again with no JavaScript for its operators: see `Engine.record`. */
export class RecordedStep<T> {
  /** What the step returned. Its tensors are overwritten by every replay, and end with the recording. */
  readonly outputs: T;
  /** What lies underneath: how many kernels it runs, and how much memory it took. */
  readonly recording: Recording;
  readonly #parts: RecordedStepParts<T>;

  /** Made by `Engine.record`. */
  constructor(parts: RecordedStepParts<T>) {
    this.#parts = parts;
    this.outputs = parts.outputs;
    this.recording = parts.recording;
  }

  /**
   * The step once more: the same bits as running it eagerly would give. Live scalars are read now, random operators go on
   * in the engine's streams, and captures that were set since are uploaded.
   *
   * @throws GpuError `GPU_REPLAY`
   */
  replay(): void {
    const { engine, recording, notes, randomCalls, upload } = this.#parts;
    for (const capture of notes.tables) upload(capture);
    notes.start = engine.randomPosition;
    recording.replay();
    engine.randomPosition += randomCalls;
  }

  /** Releases the outputs, and gives the memory of the step back. */
  dispose(): void {
    if (this.recording.disposed) return;
    this.#parts.release();
    this.recording.dispose();
  }
}
