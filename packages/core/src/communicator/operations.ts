import { type PolyheadError } from "../errors.ts";
import { createWatchdog } from "./watchdog.ts";
import type { Waiting } from "./errors.ts";

export interface OperationsOptions {
  readonly rank: number;
  /** Milliseconds. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Called once, when an operation has stalled, before anything rejects: here the job is aborted. */
  readonly onStall: (error: PolyheadError) => void;
}

/** What one rank has under way, over all its communicators: watched, and ended together. */
export interface Operations {
  /** Why the job is over; undefined while it goes on. */
  readonly ended: PolyheadError | undefined;
  /** Watches `start`'s work. Rejects as it does, or when the job ends; `start` is not called when it has ended already. */
  run<T>(waiting: Waiting, start: () => Promise<T>): Promise<T>;
  /** The job is over: whatever waits rejects with `error`, and whatever comes. Only the first call counts. */
  end(error: PolyheadError): void;
  /** Resolves when nothing is under way, however it went. */
  idle(): Promise<void>;
}

export function createOperations({ rank, timeoutMs, onStall }: OperationsOptions): Operations {
  const underWay = new Map<object, (error: PolyheadError) => void>();
  let waitingForIdle: (() => void)[] = [];
  let ended: PolyheadError | undefined;
  const settled = (): void => {
    if (underWay.size > 0) return;
    for (const resolve of waitingForIdle) resolve();
    waitingForIdle = [];
  };
  const end = (error: PolyheadError): void => {
    if (ended !== undefined) return;
    ended = error;
    watchdog.stop();
    for (const reject of underWay.values()) reject(error);
    underWay.clear();
    settled();
  };
  const watchdog = createWatchdog({
    rank,
    timeoutMs,
    onStall: (error) => {
      // Whoever waits here is told what was waited for, not that this rank aborted the job because of it.
      end(error);
      onStall(error);
    },
  });
  return {
    get ended() {
      return ended;
    },
    async run(waiting, start) {
      if (ended !== undefined) throw ended;
      const done = watchdog.watch(waiting);
      const key = {};
      const over = new Promise<never>((_, reject) => void underWay.set(key, reject));
      try {
        return await Promise.race([start(), over]);
      } finally {
        done();
        underWay.delete(key);
        settled();
      }
    },
    end,
    idle: () =>
      new Promise((resolve) => {
        waitingForIdle.push(resolve);
        settled();
      }),
  };
}
