/** Pairs what is sent with what is received: within one channel in order, channels apart. */
export interface Pairing {
  /** Resolves when the message has been copied out. */
  send(data: Uint8Array, channel: string): Promise<void>;
  /** Resolves with the length of the message, which is copied only if `into` has that length. */
  receive(into: Uint8Array, channel: string): Promise<number>;
}

interface Side {
  readonly bytes: Uint8Array;
  readonly resolve: (length: number) => void;
}

/** One direction between two ranks that share memory. Each message is copied once, when send and receive meet. */
export function createPairing(): Pairing {
  const sends = new Map<string, Side[]>();
  const receives = new Map<string, Side[]>();

  const take = (sides: Map<string, Side[]>, channel: string): Side | undefined => {
    const queue = sides.get(channel);
    const side = queue?.shift();
    // Channels are many: each collective has its own.
    if (queue?.length === 0) sides.delete(channel);
    return side;
  };
  const meet = (mine: Map<string, Side[]>, theirs: Map<string, Side[]>, bytes: Uint8Array, channel: string): Promise<number> => {
    const other = take(theirs, channel);
    if (other === undefined) {
      return new Promise((resolve) => {
        const queue = mine.get(channel);
        if (queue === undefined) mine.set(channel, [{ bytes, resolve }]);
        else queue.push({ bytes, resolve });
      });
    }
    const [from, into] = mine === sends ? [bytes, other.bytes] : [other.bytes, bytes];
    if (from.length === into.length) into.set(from);
    other.resolve(from.length);
    return Promise.resolve(from.length);
  };
  return {
    send: async (data, channel) => {
      await meet(sends, receives, data, channel);
    },
    receive: (into, channel) => meet(receives, sends, into, channel),
  };
}
