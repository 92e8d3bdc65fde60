/** How threads of a page know of each other's end: browsers let go of the locks of a worker that is no more. */
export interface Life {
  /** The lock that this thread holds as long as it lives. Undefined in Node, whose ports tell of the end of a thread by themselves. */
  readonly lock: string | undefined;
  /** Calls `onEnd` when another thread's lock is let go. */
  watch(lock: string, onEnd: () => void): void;
  /** Lets go. */
  end(): void;
}

/** Resolves when the lock is held. */
export async function createLife(): Promise<Life> {
  const inBrowser = "WorkerGlobalScope" in globalThis || "document" in globalThis;
  // A page without TLS has none; there the time limit remains.
  const locks = inBrowser && "locks" in navigator ? navigator.locks : undefined;
  const ended = new AbortController();
  const untilEnd = new Promise<void>((resolve) => ended.signal.addEventListener("abort", () => resolve()));
  const name = `polyhead-${Date.now()}-${Math.random()}`;
  const held = await new Promise<boolean>((resolve) => {
    if (locks === undefined) resolve(false);
    locks?.request(name, () => {
      resolve(true);
      return untilEnd;
    }).catch(() => resolve(false));
  });
  return {
    lock: held ? name : undefined,
    watch(lock, onEnd) {
      // Shared, so that all who watch hear of it. Rejects when this thread is the first to end.
      locks?.request(lock, { mode: "shared", signal: ended.signal }, onEnd).catch(() => undefined);
    },
    end: () => ended.abort(),
  };
}
