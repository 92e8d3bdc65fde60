/** What a rank does for a while: work on the device, a message on its way, data to the device, data from it. */
export type RingWork = "compute" | "transfer" | "upload" | "read";

export type RingPhase = "forward" | "backward";

/** One stretch of work of one rank: what the kernel's observer is told, what the simulation makes, what the report draws. */
export interface RingEvent {
  /**
   * Counted from 0. At step s a rank computes with the block that s hops brought there. A transfer of keys belongs to the step that
   * it brings them for, one of sums to the step whose share was added last.
   */
  readonly step: number;
  readonly phase: RingPhase;
  readonly kind: RingWork;
  /** Milliseconds on the clock of whoever tells: `performance.now()` of a process, or 0 at a simulation's begin. */
  readonly start: number;
  readonly end: number;
  /** Moved meanwhile: sent for a transfer; 0 for compute. */
  readonly bytes: number;
}

/** Called when a stretch of work has ended. */
export type RingObserver = (event: RingEvent) => void;

/** A rank's events, as the report draws them in a row. */
export interface RankTimeline {
  readonly rank: number;
  readonly events: readonly RingEvent[];
}
