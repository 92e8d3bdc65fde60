import type { RankTimeline, RingEvent, RingPhase } from "@polyhead/attn-ring/planning";

const WIDTH = 960;
const MARGIN = { left: 64, right: 12, top: 8, bottom: 28 };
const LANE = 12;
const ROW = 2 * LANE + 10;
/** More rows and steps than these nobody reads. */
export const MOST_ROWS = 32;
export const MOST_STEPS = 32;

export const escape = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** A round number of milliseconds, so that `most` of them give four to ten ticks. */
function tickOf(most: number): number {
  const rough = 10 ** Math.floor(Math.log10(most / 4));
  return [1, 2, 5, 10].map((times) => times * rough).findLast((tick) => most / tick >= 4) ?? rough;
}

/**
 * Every rank a row, above what its device does, below what its link does, over milliseconds. A transfer that lies under compute is
 * hidden; one that lies under nothing is waited for.
 */
export function timelineSvg(timelines: readonly RankTimeline[], phase: RingPhase): string {
  const rows = timelines.slice(0, MOST_ROWS).map(({ rank, events }) => ({ rank, events: events.filter((event) => event.phase === phase && event.step < MOST_STEPS) }));
  const all = rows.flatMap(({ events }) => events);
  if (all.length === 0) return "";
  const begin = all.reduce((least, { start }) => Math.min(least, start), Infinity);
  const span = all.reduce((most, { end }) => Math.max(most, end), begin) - begin || 1;
  const height = MARGIN.top + rows.length * ROW + MARGIN.bottom;
  const x = (ms: number): number => MARGIN.left + ((ms - begin) / span) * (WIDTH - MARGIN.left - MARGIN.right);
  const tick = tickOf(span);
  const ticks = Array.from({ length: Math.floor(span / tick) + 1 }, (_, i) => i * tick);
  // A read waits for the compute before it, which is drawn over it.
  const order = ["read", "upload", "compute", "transfer"];
  const layered = (events: readonly RingEvent[]): RingEvent[] => events.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  const box = (event: RingEvent, top: number): string => {
    const [left, width] = [x(event.start), Math.max(0.5, x(event.end) - x(event.start))];
    const y = top + (event.kind === "transfer" ? LANE + 2 : 0);
    const label = event.kind === "compute" && width > 16 ? `<text x="${(left + width / 2).toFixed(1)}" y="${y + LANE - 2.5}" class="on">${event.step}</text>` : "";
    const size = event.bytes === 0 ? "" : `, ${event.bytes.toLocaleString("en")} bytes`;
    return `<rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${LANE}" class="${event.kind}"><title>step ${event.step}, ${event.kind}: ${(event.end - event.start).toFixed(3)} ms${size}</title></rect>${label}`;
  };
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${phase}: each rank's compute and transfers over time">
${ticks.map((t) => `<line x1="${x(begin + t).toFixed(1)}" x2="${x(begin + t).toFixed(1)}" y1="${MARGIN.top}" y2="${height - MARGIN.bottom}" class="grid"/><text x="${x(begin + t).toFixed(1)}" y="${height - 10}" text-anchor="middle">${Number(t.toPrecision(6))}${t === 0 ? " ms" : ""}</text>`).join("\n")}
${rows.map(({ rank, events }, row) => `<text x="${MARGIN.left - 8}" y="${MARGIN.top + row * ROW + LANE + 5}" text-anchor="end">rank ${rank}</text>\n${layered(events).map((event) => box(event, MARGIN.top + row * ROW)).join("\n")}`).join("\n")}
</svg>`;
}

/** One step over all ranks. */
export interface StepSummary {
  readonly step: number;
  /** Milliseconds that the mean rank's device computes, and the slowest's. */
  readonly compute: number;
  readonly slowest: number;
  /** Milliseconds that a message is on its way, in the mean. */
  readonly transfer: number;
  /** Share of the transfers' time in which the sender's device computes. */
  readonly hidden: number;
}

/** What each step of a phase cost, and how much of its transfers hid behind compute. */
export function summarise(timelines: readonly RankTimeline[], phase: RingPhase): StepSummary[] {
  const ofRank = timelines.map(({ events }) => events.filter((event) => event.phase === phase && event.step < MOST_STEPS));
  const steps = ofRank.flat().reduce((most, { step }) => Math.max(most, step + 1), 0);
  return Array.from({ length: steps }, (_, step) => {
    const compute = ofRank.map((events) => events.reduce((sum, event) => sum + (event.step === step && event.kind === "compute" ? event.end - event.start : 0), 0));
    let [transfer, hidden, messages] = [0, 0, 0];
    for (const events of ofRank) {
      const work = events.filter(({ kind }) => kind === "compute");
      for (const event of events) {
        if (event.kind !== "transfer" || event.step !== step) continue;
        messages++;
        transfer += event.end - event.start;
        hidden += work.reduce((sum, { start, end }) => sum + Math.max(0, Math.min(end, event.end) - Math.max(start, event.start)), 0);
      }
    }
    return { step, compute: compute.reduce((a, b) => a + b, 0) / compute.length, slowest: Math.max(...compute), transfer: messages === 0 ? 0 : transfer / messages, hidden: transfer === 0 ? 1 : hidden / transfer };
  });
}
