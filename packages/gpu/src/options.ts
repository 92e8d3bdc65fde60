export interface GpuOptions {
  /** `adapter` (default) asks for all that the adapter offers; `default` stays at WebGPU's guaranteed limits. */
  readonly limits?: "adapter" | "default";
  /** `all` (default) asks for subgroups, f16 and timestamps where there are; `none` for no optional feature. */
  readonly features?: "all" | "none";
  /** Fills every buffer taken from the pool with NaN, so that a kernel which reads what nobody wrote is found out. */
  readonly poison?: boolean;
  /** Called when a caller begins to wait for the device; what it returns is called when the wait is over. */
  readonly onWait?: () => () => void;
}

export interface GpuStats {
  /** Replayed ones included. */
  readonly dispatches: number;
  readonly submits: number;
  /** Recordings replayed, counted each time. */
  readonly replays: number;
  readonly bindGroups: number;
  readonly pipelines: number;
  readonly buffers: number;
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly heldBytes: number;
}

export type Workgroups = readonly [x: number, y?: number, z?: number];
