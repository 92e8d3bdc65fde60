import { createMeeting } from "@polyhead/core";
import type { Buffers } from "./buffers.ts";
import type { Frame, Message, Want } from "./frames.ts";

/** Another rank, and the port to it. */
export interface Peer {
  send(data: Uint8Array, channel: string): Promise<void>;
  receive(into: Uint8Array, channel: string): Promise<number>;
  post(frame: Frame): void;
  /** Takes a frame that belongs to a message. */
  take(frame: Want | Message): void;
}

/** Up to this many bytes a message travels inside its frame. */
const SHORT = 4096;

const isShared = (memory: ArrayBufferLike): boolean => typeof SharedArrayBuffer !== "undefined" && memory instanceof SharedArrayBuffer;

interface Asked {
  readonly into: Uint8Array;
  /** What was lent for it. Undefined for short messages, and where the sender writes into `into` itself. */
  readonly lent: ArrayBufferLike | undefined;
  readonly arrived: (bytes: number) => void;
}

interface Send {
  readonly data: Uint8Array;
  readonly sent: () => void;
}

/**
 * The receiver asks first, and lends the memory: nothing is sent that nobody has asked for, so no message waits in memory of
 * its own. Lent memory is transferred there and back, or shared.
 */
export function createPeer(port: MessagePort, buffers: Buffers, shares: boolean): Peer {
  const asked = new Map<number, Asked>();
  let asks = 0;

  const post = (frame: Frame, memory?: ArrayBufferLike): void => {
    if (memory === undefined || isShared(memory)) port.postMessage(frame);
    else port.postMessage(frame, [memory as ArrayBuffer]);
  };

  const answer = ({ data, sent }: Send, { id, bytes, memory, offset }: Want): void => {
    const frame = { type: "message", id, bytes: data.length } as const;
    // Shared memory is with the receiver already.
    const back = memory === undefined || isShared(memory) ? undefined : memory;
    if (bytes !== data.length) post({ ...frame, memory: back }, back);
    else if (memory === undefined) post({ ...frame, memory: data.slice().buffer });
    else {
      new Uint8Array(memory, offset, bytes).set(data);
      post({ ...frame, memory: back }, back);
    }
    sent();
  };
  const meeting = createMeeting<Send, Want>(answer);

  const accept = ({ id, bytes, memory }: Message): void => {
    const { into, lent, arrived } = asked.get(id)!;
    asked.delete(id);
    const short = into.length <= SHORT;
    // Transferred memory comes back as another object; shared memory stays what it was.
    const from = short ? memory : (memory ?? lent);
    if (from !== undefined) {
      if (bytes === into.length) into.set(new Uint8Array(from, 0, bytes));
      if (!short) buffers.give(from);
    }
    arrived(bytes);
  };

  return {
    send: (data, channel) => new Promise((sent) => meeting.send(channel, { data, sent })),
    receive: (into, channel) =>
      new Promise((arrived) => {
        const id = asks++;
        const want = { type: "want", id, channel, bytes: into.length } as const;
        const short = into.length <= SHORT;
        const direct = !short && shares && isShared(into.buffer);
        const lent = short || direct ? undefined : buffers.take(into.length);
        asked.set(id, { into, lent, arrived });
        if (direct) post({ ...want, memory: into.buffer, offset: into.byteOffset });
        else if (lent !== undefined) post({ ...want, memory: lent, offset: 0 }, lent);
        else post(want);
      }),
    post,
    take(frame) {
      if (frame.type === "want") meeting.receive(frame.channel, frame);
      else accept(frame);
    },
  };
}
