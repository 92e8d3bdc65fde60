/** The receiver asks for the next message of a channel, and says where it may be put. */
interface Want {
  readonly type: "want";
  readonly id: number;
  readonly channel: string;
  readonly bytes: number;
  /** Left out for short messages, which travel inside their frame. */
  readonly memory?: ArrayBufferLike;
  readonly offset?: number;
}

/** The answer to a `Want`; without content when the lengths differ. */
interface Message {
  readonly type: "message";
  readonly id: number;
  readonly bytes: number;
  /** A short message itself, or the memory that was lent, given back. */
  readonly memory?: ArrayBufferLike | undefined;
}

/** The sender of this frame has aborted the job. */
interface Aborted {
  readonly type: "aborted";
  readonly reason: string;
}

/** A rank is gone, or as good as gone. */
interface Lost {
  readonly type: "lost";
  readonly rank: number;
  readonly reason: string;
}

/** The sender of this frame lives as long as it holds this lock. */
interface Alive {
  readonly type: "alive";
  readonly lock: string;
}

/** The sender of this frame has closed, and may vanish. */
interface Bye {
  readonly type: "bye";
}

/** What ranks tell each other; a spawner tells them of the lost. */
export type Frame = Want | Message | Aborted | Lost | Alive | Bye;
export type { Message, Want };

/** Posted by a worker to its spawner to be given a seat, and back with one. */
export interface Greeting {
  readonly polyheadWorld: unknown;
}

export const isGreeting = (value: unknown): value is Greeting => typeof value === "object" && value !== null && "polyheadWorld" in value;
