import type { RingEvent } from "@polyhead/attn-ring";
import { expect, it } from "vitest";
import { readOptions } from "../arguments.ts";
import { reportHtml } from "../report.ts";
import { rowsAt, wholeOf } from "../rows.ts";
import { rightIn, runReport, runText } from "../run-text.ts";
import { summarise } from "../timeline-svg.ts";
import { runWorld } from "../world.ts";

it("two ranks of one process attend as one device does, send the formula's bytes, and draw it", async () => {
  const options = readOptions(["--ranks", "2", "--seq", "51", "--heads", "2", "--kv-heads", "1", "--head-dim", "16", "--backward", "--check", "--repeat", "1", "--comm", "local"]);
  const report = (await runWorld(options))!;
  const text = runText(options, report);
  expect(rightIn(options, report), text).toBe(true);
  expect(text.match(/: equal$/gm)).toHaveLength(2);
  expect(text).toMatch(/equal within 1e-5$/m);
  expect(Object.keys(report.errors!)).toEqual(["o", "dq", "dk", "dv"]);
  const page = reportHtml(runReport(options, report));
  for (const rank of [0, 1]) expect(page).toContain(`>rank ${rank}<`);
  expect(page.match(/<svg /g)).toHaveLength(3);

  const { ranks } = report;
  expect(rightIn(options, { ranks: [{ ...ranks[0]!, sentBytes: { ...ranks[0]!.sentBytes, forward: 1 } }, ...ranks.slice(1)] }), "a byte too few is seen").toBe(false);
  expect(rightIn(options, { ranks, errors: { o: NaN } }), "a NaN is seen").toBe(false);
});

it("a rank makes the rows of its tokens, and all of them make the whole", () => {
  const shape = { heads: 2, headDim: 3, seq: 10 };
  const whole = rowsAt("k", Uint32Array.from({ length: 10 }, (_, i) => i), shape);
  const parts = [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]].map((positions) => rowsAt("k", Uint32Array.from(positions), shape));
  expect(wholeOf(parts, "striped", shape)).toEqual(whole);
  expect(new Set(whole).size).toBe(whole.length);
});

it("what hides behind compute is told from what is waited for", () => {
  const event = (kind: RingEvent["kind"], step: number, start: number, end: number): RingEvent => ({ step, phase: "forward", kind, start, end, bytes: 0 });
  const timelines = [{ rank: 0, events: [event("compute", 0, 0, 10), event("transfer", 1, 5, 25), event("read", 1, 0, 30), event("compute", 1, 20, 30)] }];
  expect(summarise(timelines, "forward")).toEqual([
    { step: 0, compute: 10, slowest: 10, transfer: 0, hidden: 1 },
    { step: 1, compute: 10, slowest: 10, transfer: 20, hidden: 0.5 },
  ]);
});
