import type { Gpu } from "@polyhead/gpu";
import type { TransferObserver } from "./circulation.ts";
import type { RingObserver, RingPhase, RingWork } from "./planning/timeline.ts";

/** Tells an observer what happens when. Without one it costs nothing, and the device is not asked when it is done. */
export class StepClock {
  readonly #gpu: Gpu;
  readonly #phase: RingPhase;
  readonly #observe: RingObserver | undefined;
  /** When the device was last seen to have finished a step. */
  #free = 0;

  constructor(gpu: Gpu, phase: RingPhase, observe: RingObserver | undefined) {
    this.#gpu = gpu;
    this.#phase = phase;
    this.#observe = observe;
  }

  get transfer(): TransferObserver | undefined {
    if (this.#observe === undefined) return undefined;
    return ({ step, start, end, bytes }) => { this.#tell("transfer", step, start, end, bytes); };
  }

  upload(step: number, bytes: number, work: () => void): void {
    const start = performance.now();
    work();
    this.#tell("upload", step, start, performance.now(), bytes);
  }

  async read(step: number, bytes: number, work: () => Promise<void>): Promise<void> {
    const start = performance.now();
    await work();
    this.#tell("read", step, start, performance.now(), bytes);
  }

  /** Records `work`; told from when it was sent, or the device was free, until the device had run it. */
  compute(step: number, work: () => void): void {
    if (this.#observe === undefined) {
      work();
      return;
    }
    let sent = 0;
    this.#gpu.hostStep(() => { sent = performance.now(); });
    work();
    this.#gpu.hostStep((host) => {
      // Not awaited: the next step may begin meanwhile.
      host.finished().then(() => {
        const end = performance.now();
        this.#tell("compute", step, Math.max(sent, this.#free), end, 0);
        this.#free = end;
      }, () => undefined); // a lost device is told to whoever waits for results
    });
  }

  #tell(kind: RingWork, step: number, start: number, end: number, bytes: number): void {
    this.#observe?.({ step, phase: this.#phase, kind, start, end, bytes });
  }
}
