import { GpuError } from "./errors.ts";
import type { HostTraffic } from "./host-traffic.ts";
import type { BufferSlice } from "./pool.ts";
import type { Bytes } from "./staging.ts";

/** What a step of the host's may do with the device; only until it has ended. */
export interface HostAccess {
  /**
   * Copies `from`, as everything recorded before the step leaves it, to the start of `into`, which holds as many bytes. A
   * step need not wait for it: started here and awaited in a later step, it runs beside the device's work between the two.
   *
   * @throws GpuError `GPU_HOST_STEP` when the step has ended, or `into` is of another length.
   */
  readonly read: (from: BufferSlice, into: Bytes) => Promise<void>;
  /** Uploads `data`, which may be reused at once, before everything recorded after the step. @throws GpuError `GPU_HOST_STEP`. */
  readonly write: (to: BufferSlice, data: Bytes) => void;
  /** Resolves when the device has run everything recorded before the step: for whoever times it. @throws GpuError `GPU_HOST_STEP`, `GPU_DEVICE_LOST`. */
  readonly finished: () => Promise<void>;
}

/** See `Gpu.hostStep`. */
export type HostStep = (host: HostAccess) => void | Promise<void>;

/** Runs `step` with access that ends with it: later, its reads and writes would be out of order. */
export function runHostStep(step: HostStep, traffic: HostTraffic): void | Promise<void> {
  let over = false;
  const check = (what: string, device: number, host: number): void => {
    if (over) throw new GpuError("GPU_HOST_STEP", `a host step asked to ${what} after it had ended, when its place among the commands was past`, "start it before the step's promise resolves");
    if (device !== host) throw new GpuError("GPU_HOST_STEP", `a host step asked to ${what} ${device} bytes of the device and ${host} of the host`, "give a slice and an array of one length, in whole 32-bit words");
  };
  const access: HostAccess = {
    read: (from, into) => {
      check("read", from.size, into.byteLength);
      const done = traffic.read(from).then((bytes) => { new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(new Uint8Array(bytes)); });
      done.catch(() => undefined); // whoever awaits it is told
      return done;
    },
    write: (to, data) => {
      check("write", to.size, data.byteLength);
      traffic.write(to, data);
    },
    finished: () => {
      check("wait", 0, 0);
      return traffic.finished();
    },
  };
  const pending = step(access);
  if (pending === undefined) {
    over = true;
    return;
  }
  return pending.finally(() => { over = true; });
}
