import type { Communicator, Transfer } from "@polyhead/core";

/** Waits until a moment of `performance.now()`; a timer may be a millisecond late, never early. */
export async function until(moment: number): Promise<void> {
  for (let left = moment - performance.now(); left > 0; left = moment - performance.now()) await new Promise((resolve) => setTimeout(resolve, left));
}

/**
 * A communicator whose rank sends over a link of so many bytes a second: one message after the other, each handed over when
 * its last byte would have arrived. Receiving costs nothing, as on a link of two ways.
 */
export function throttled(communicator: Communicator, bytesPerSecond: number): Communicator {
  let free = 0;
  let before: Promise<void> = Promise.resolve();
  const send = (exchange: Parameters<Communicator["sendrecv"]>[0]): Promise<void> => {
    const arrives = (free = Math.max(free, performance.now()) + (1000 * exchange.send!.data.byteLength) / bytesPerSecond);
    const mine = before.then(async () => {
      await until(arrives);
      await communicator.sendrecv(exchange).wait();
    });
    before = mine.catch(() => undefined);
    return mine;
  };
  const sendrecv = ({ send: sent, receive, tag = 0 }: Parameters<Communicator["sendrecv"]>[0]): Transfer => {
    const parts = [...(receive === undefined ? [] : [communicator.sendrecv({ receive, tag }).wait()]), ...(sent === undefined ? [] : [send({ send: sent, tag })])];
    const all = Promise.all(parts).then(() => undefined);
    all.catch(() => undefined); // kept for the one who waits
    return { wait: () => all };
  };
  return new Proxy(communicator, {
    get(target, name) {
      if (name === "sendrecv") return sendrecv;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
