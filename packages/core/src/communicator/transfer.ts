import type { MessageData, Transfer } from "../contracts/communicator.ts";

/** A transfer of work that is under way. Its failure is kept for whoever waits, and is no unhandled rejection if nobody does. */
export function keptTransfer(work: Promise<unknown>): Transfer {
  const done = work.then(() => undefined);
  done.catch(() => undefined);
  return { wait: () => done };
}

/** Resolves when all have, rejects with the first failure, but not before all have ended: then the memory is free. */
export async function allEnded(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** The bytes that the view covers, no more. */
export const bytesOf = (data: MessageData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
