/** Has MPI looked at from the event loop, for as long as something is under way. */
export interface Poller {
  /** Adds something to be done at every look. */
  onLook(look: () => void): void;
  /** Something is under way: looks from now on, and keeps the process alive. */
  hold(): void;
  /** It has ended. */
  release(): void;
  /** Looks for one thing at once: much is there already. Not always, so that the event loop goes on however much there is. */
  glance(look: () => void): void;
  /** Looks for so long, blocking. For a process that is about to end. */
  spin(milliseconds: number): void;
}

/**
 * For so long after something has begun or ended, the event loop looks in every turn. After that it looks once a millisecond,
 * and leaves the core to others: to a software GPU, say, or to the ranks that are waited for.
 */
const EAGER_MS = 5;
const PATIENT_MS = 1;
/** How long an eager turn looks: the rest of a turn takes as long as a few looks, and large messages move by being looked at. */
const BURST_MS = 0.1;
/** Glances in one turn of the event loop. */
const GLANCES = 16;

export function createPoller(): Poller {
  const looks: (() => void)[] = [];
  let held = 0;
  let scheduled = false;
  let happened = false;
  let lastEvent = 0;
  let glances = 0;

  const schedule = (): void => {
    scheduled = held > 0;
    if (!scheduled) return;
    const now = performance.now();
    if (happened) lastEvent = now;
    happened = false;
    if (now - lastEvent < EAGER_MS) setImmediate(turn);
    else setTimeout(turn, PATIENT_MS);
  };
  const turn = (): void => {
    const now = performance.now();
    const end = now - lastEvent < EAGER_MS ? now + BURST_MS : now;
    do {
      for (const look of looks) look();
    } while (!happened && performance.now() < end);
    schedule();
  };
  return {
    onLook: (look) => void looks.push(look),
    hold() {
      held++;
      happened = true;
      if (!scheduled) schedule();
    },
    release() {
      held--;
      happened = true;
    },
    glance(look) {
      if (glances >= GLANCES) return;
      if (glances++ === 0) setImmediate(() => (glances = 0));
      look();
    },
    spin(milliseconds) {
      const end = performance.now() + milliseconds;
      while (performance.now() < end) for (const look of looks) look();
    },
  };
}
