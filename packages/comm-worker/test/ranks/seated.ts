import { type Seat, takeSeat } from "../../src/index.ts";

/** A web worker that takes the seat it is posted, meets the others once, and then does nothing. */
addEventListener("message", ({ data }: MessageEvent<Seat>) => void takeSeat(data).then((comm) => comm.barrier()));
globalThis.postMessage("ready");
