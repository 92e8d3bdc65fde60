// A thread of the bandwidth bench: one of two ranks.
import { joinWorld } from "@polyhead/comm-worker";
import { parentPort, workerData } from "node:worker_threads";
import { pingPong } from "./pingpong.ts";

const { bytes, rounds } = workerData as { readonly bytes: number; readonly rounds: number };
const communicator = await joinWorld(parentPort!);
const ms = await pingPong(communicator, bytes, rounds);
if (communicator.rank === 0) parentPort!.postMessage({ ms });
await communicator.close();
