import { type PolyheadError } from "../errors.ts";
import { argumentError, timeoutError, type Waiting } from "./errors.ts";

export interface WatchdogOptions {
  readonly rank: number;
  /** Milliseconds. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Called once, with a `COMM_TIMEOUT` that names everything waited for. The watchdog has stopped by then. */
  readonly onStall: (error: PolyheadError) => void;
}

export interface Watchdog {
  readonly timeoutMs: number;
  /** Watches an operation until the function returned is called. Keeps the process alive meanwhile: somebody waits. */
  watch(waiting: Waiting): () => void;
  stop(): void;
}

export const DEFAULT_TIMEOUT_MS = 60_000;

/** @throws PolyheadError `COMM_ARGUMENT` for a time limit that is none. */
export function checkTimeLimit(rank: number, timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs < 2 ** 31)) throw argumentError(rank, `timeoutMs ${timeoutMs}`, "use milliseconds, more than 0 and less than 2³¹");
}

/** Milliseconds between two looks: an eighth of the limit, at most a second. */
const intervalOf = (timeoutMs: number): number => Math.min(1000, Math.max(1, timeoutMs / 8));

/**
 * Notices operations that do not end. Its clock stands still while the event loop of this rank is blocked: messages that
 * have arrived meanwhile are no stall.
 */
export function createWatchdog({ rank, timeoutMs = DEFAULT_TIMEOUT_MS, onStall }: WatchdogOptions): Watchdog {
  const interval = intervalOf(timeoutMs);
  // In the order of their start, so the first is the oldest.
  const watched = new Map<object, { readonly waiting: Waiting; readonly since: number }>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let stopped = false;
  let clock = 0;
  let last = 0;

  const now = (): number => clock + Math.min(performance.now() - last, 2 * interval);
  const rest = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const look = (): void => {
    clock = now();
    last = performance.now();
    const [oldest] = watched.values();
    if (oldest === undefined || clock - oldest.since < timeoutMs) return;
    stopped = true;
    rest();
    onStall(timeoutError(rank, timeoutMs, [...watched.values()].map(({ waiting }) => waiting)));
  };
  return {
    timeoutMs,
    watch(waiting) {
      if (stopped) return () => undefined;
      if (timer === undefined) {
        last = performance.now();
        timer = setInterval(look, interval);
      }
      const key = {};
      watched.set(key, { waiting, since: now() });
      return () => {
        watched.delete(key);
        if (watched.size === 0) rest();
      };
    },
    stop() {
      stopped = true;
      watched.clear();
      rest();
    },
  };
}
