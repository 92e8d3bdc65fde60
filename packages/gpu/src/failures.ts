import { GpuError } from "./errors.ts";

/**
 * WebGPU reports most failures later than the call that caused them. They are gathered here and thrown at the next
 * point where the caller waits for the device, so that nobody reads zeros and believes them.
 */
export class Failures {
  #pending = new Set<Promise<void>>();
  #first: Error | undefined;
  /** Reported by the device without a cause: mostly the echo of a failure whose verdict is still on its way. */
  #echo: GpuError | undefined;
  #lost: GpuError | undefined;
  /** Resolves when the device is gone, with the error that says so. Never rejects. */
  readonly lost: Promise<GpuError>;

  constructor(device: GPUDevice) {
    this.lost = device.lost.then((info) => {
      this.#lost ??= new GpuError(
        "GPU_DEVICE_LOST",
        `the GPU device was lost (${info.reason}): ${info.message || "no message from the driver"}`,
        "open a new device and resume from the last checkpoint; if it recurs, use a smaller batch or update the driver",
      );
      return this.#lost;
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#echo ??= new GpuError("GPU_VALIDATION", event.error.message, "this is a bug in a kernel or operator; report it with the message above");
    });
  }

  /** Takes a failure of the host's own, to be thrown like the device's. */
  report(error: unknown): void {
    this.#first ??= error instanceof Error ? error : new Error(String(error));
  }

  watch(verdict: Promise<GpuError | undefined>): void {
    const settled = verdict.then(
      (error) => {
        this.#first ??= error;
      },
      () => undefined, // a popped scope rejects only when the device is gone, which `lost` reports
    );
    this.#pending.add(settled);
    void settled.then(() => this.#pending.delete(settled));
  }

  /** Marks the device as closed by its owner; later calls say so. */
  close(): GpuError {
    return (this.#lost = new GpuError("GPU_DISPOSED", "this Gpu was disposed", "open a new one, or dispose it later"));
  }

  /** @throws the first failure whose cause is known so far. */
  check(): void {
    if (this.#lost !== undefined) throw this.#lost;
    const error = this.#first;
    if (error === undefined) return;
    this.#first = undefined;
    this.#echo = undefined;
    throw error;
  }

  /** Waits for every verdict that is still open, then throws the first failure, if any. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0 && this.#lost === undefined) await Promise.race([Promise.all(this.#pending), this.lost]);
    this.check();
    const echo = this.#echo;
    if (echo === undefined) return;
    this.#echo = undefined;
    throw echo;
  }

  /** `work`, or the loss of the device, whichever comes first: a lost device never hangs its caller. */
  async unlessLost<T>(work: Promise<T>): Promise<T> {
    const outcome = await Promise.race([work.then((value) => ({ value }), (reason: unknown) => ({ reason })), this.lost.then((reason) => ({ reason }))]);
    if ("value" in outcome) return outcome.value;
    await this.settle();
    throw outcome.reason;
  }
}
