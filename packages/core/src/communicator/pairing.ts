import { createMeeting } from "./meeting.ts";

/** One direction between two ranks that share memory. */
export interface Pairing {
  /** Resolves when the message has been copied out. */
  send(data: Uint8Array, channel: string): Promise<void>;
  /** Resolves with the length of the message, which is copied only if `into` has that length. */
  receive(into: Uint8Array, channel: string): Promise<number>;
}

/** Copies each message once, when send and receive meet. */
export function createPairing(): Pairing {
  interface Send {
    readonly data: Uint8Array;
    readonly sent: () => void;
  }
  interface Receive {
    readonly into: Uint8Array;
    readonly arrived: (length: number) => void;
  }
  const meeting = createMeeting<Send, Receive>(({ data, sent }, { into, arrived }) => {
    if (data.length === into.length) into.set(data);
    sent();
    arrived(data.length);
  });
  return {
    send: (data, channel) => new Promise((sent) => meeting.send(channel, { data, sent })),
    receive: (into, channel) => new Promise((arrived) => meeting.receive(channel, { into, arrived })),
  };
}
