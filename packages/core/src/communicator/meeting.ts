/** Where sends meet receives: within one channel in order, channels apart. */
export interface Meeting<Send, Receive> {
  send(channel: string, side: Send): void;
  receive(channel: string, side: Receive): void;
}

function put<T>(queues: Map<string, T[]>, channel: string, side: T): void {
  const queue = queues.get(channel);
  if (queue === undefined) queues.set(channel, [side]);
  else queue.push(side);
}

function take<T>(queues: Map<string, T[]>, channel: string): T | undefined {
  const queue = queues.get(channel);
  const side = queue?.shift();
  // Channels are many: each collective has its own.
  if (queue?.length === 0) queues.delete(channel);
  return side;
}

/** Calls `meet` once for each pair, as soon as both are there. */
export function createMeeting<Send extends object, Receive extends object>(meet: (send: Send, receive: Receive) => void): Meeting<Send, Receive> {
  const sends = new Map<string, Send[]>();
  const receives = new Map<string, Receive[]>();
  return {
    send(channel, side) {
      const other = take(receives, channel);
      if (other === undefined) put(sends, channel, side);
      else meet(side, other);
    },
    receive(channel, side) {
      const other = take(sends, channel);
      if (other === undefined) put(receives, channel, side);
      else meet(other, side);
    },
  };
}
