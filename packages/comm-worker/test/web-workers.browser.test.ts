import { isPolyheadError } from "@polyhead/core";
import { expect, test } from "vitest";
import { createSeats, takeSeat, workerWorld } from "../src/index.ts";

const LAWS = "any length|every kind|in the order|pass each other|adds up|same bits|ordered by key|COMM_LENGTH|event loop";

test("web workers keep the laws, and hear of a rank whose program fails", async () => {
  const workers = [0, 1, 2].map(() => new Worker(new URL("ranks/web.ts", import.meta.url), { type: "module", name: LAWS }));
  const kept: string[] = [];
  const heard = new Promise<readonly string[]>((resolve, reject) => {
    const messages: string[] = [];
    for (const worker of workers) {
      worker.addEventListener("error", (event) => reject(new Error(event.message)));
      worker.addEventListener("message", ({ data }: MessageEvent<{ readonly kept?: string; readonly heard?: string }>) => {
        if (data.kept !== undefined) kept.push(data.kept);
        if (data.heard !== undefined && messages.push(data.heard) === 2) resolve(messages);
      });
    }
  });
  workerWorld(workers);
  for (const message of await heard) expect(message).toMatch(/^\[COMM_LOST\] rank [02]: rank 1 is lost: Error: out of luck/);
  expect(kept.length).toBe(LAWS.split("|").length);
  for (const worker of workers) worker.terminate();
});

test("the page takes a seat too, and hears of a worker that is terminated", async () => {
  const { seats } = createSeats(2);
  const worker = new Worker(new URL("ranks/seated.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", () => worker.postMessage(seats[1], [seats[1]!.ports[0]!, seats[1]!.control]));
  const here = await takeSeat(seats[0]!, { timeoutMs: 20_000 });
  await here.barrier();
  const waiting = here.sendrecv({ receive: { into: new Float32Array(1), from: 1 } });
  worker.terminate();
  await expect(waiting.wait()).rejects.toThrow(/COMM_LOST.*rank 1 is lost/);
});

test("memory is shared only in a page that is cross-origin isolated, and says so", () => {
  expect(crossOriginIsolated).toBe(false);
  const refused = (() => {
    try {
      return createSeats(2, { memory: "share" });
    } catch (error) {
      return error;
    }
  })();
  expect(isPolyheadError(refused, "COMM_ARGUMENT")).toBe(true);
  expect(String(refused)).toContain("Cross-Origin-Opener-Policy");
});
