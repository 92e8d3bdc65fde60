import { abortedError, type Link, lostError, type PolyheadError } from "@polyhead/core";
import { createBuffers } from "./buffers.ts";
import type { Frame } from "./frames.ts";
import type { Life } from "./life.ts";
import { createPeer, type Peer } from "./peer.ts";
import type { Seat } from "./seats.ts";

/** Milliseconds in which a rank that has vanished may turn out to have closed before, and in which the reason may come. */
const GRACE_MS = 100;

const ENDED = "its thread ended before it had closed";

/** Calls `onFrame` with what arrives; a port by itself does not keep Node's thread alive: the watchdog does, while somebody waits. */
function listen(port: MessagePort, onFrame: (frame: Frame) => void, onGone: () => void): void {
  port.addEventListener("message", ({ data }: MessageEvent<Frame>) => onFrame(data));
  // When the thread at the other end is gone, in Node.
  port.addEventListener("close", onGone);
  port.start();
  (port as { unref?: () => void }).unref?.();
}

/** A transport between threads: a port to every other rank. */
export function linkOf({ rank, size, memory, ports, control }: Seat, life: Life): Link {
  const buffers = createBuffers((bytes) => (memory === "share" ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)));
  const said = new Set<number>();
  const reasons = new Map<number, string>();
  let onEnd: (error: PolyheadError) => void = () => undefined;
  let closed = false;

  const gone = (other: number, reason: string, surely: boolean): void => {
    if (surely || !reasons.has(other)) reasons.set(other, reason);
    setTimeout(() => {
      if (!closed && !said.has(other)) onEnd(lostError(rank, other, reasons.get(other)!));
    }, GRACE_MS);
  };
  const others = new Map<number, Peer>();
  for (const [other, port] of ports.entries()) {
    if (port === null) continue;
    const peer = createPeer(port, buffers, memory === "share");
    others.set(other, peer);
    const onFrame = (frame: Frame): void => {
      if (frame.type === "want" || frame.type === "message") peer.take(frame);
      else if (frame.type === "aborted") onEnd(abortedError(rank, other, frame.reason));
      else if (frame.type === "lost") gone(frame.rank, frame.reason, true);
      else if (frame.type === "alive") life.watch(frame.lock, () => gone(other, ENDED, false));
      else said.add(other);
    };
    listen(port, onFrame, () => gone(other, ENDED, false));
  }
  listen(control, (frame) => (frame.type === "lost" ? gone(frame.rank, frame.reason, true) : undefined), () => undefined);

  const tellAll = (frame: Frame): void => {
    for (const peer of others.values()) peer.post(frame);
  };
  // Before anything else, so that whoever has heard of this rank knows of its lock.
  if (life.lock !== undefined) tellAll({ type: "alive", lock: life.lock });
  const unheard = stopOnRejection((reason) => tellAll({ type: "lost", rank, reason }));

  return {
    kind: "worker",
    rank,
    size,
    send: (data, to, channel) => others.get(to)!.send(data, channel),
    receive: (into, from, channel) => others.get(from)!.receive(into, channel),
    abort: (reason) => tellAll({ type: "aborted", reason }),
    close() {
      closed = true;
      unheard();
      tellAll({ type: "bye" });
      life.end();
      for (const port of [...ports, control]) port?.close();
    },
    onEnd: (listener) => void (onEnd = listener),
  };
}

/** A web worker lives on after a rejection that nobody handles, and its spawner does not hear of it. Node's thread dies of it. */
function stopOnRejection(tell: (reason: string) => void): () => void {
  if (!("WorkerGlobalScope" in globalThis)) return () => undefined;
  const listener = ({ reason }: PromiseRejectionEvent): void => tell(String(reason));
  globalThis.addEventListener("unhandledrejection", listener);
  return () => globalThis.removeEventListener("unhandledrejection", listener);
}
