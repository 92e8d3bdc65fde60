import type { RankTimeline, RingPhase } from "@polyhead/attn-ring/planning";
import { escape, MOST_ROWS, MOST_STEPS, summarise, timelineSvg } from "./timeline-svg.ts";
import { bytes, percent } from "./units.ts";

/** What a page about one attention shows, measured or simulated. */
export interface Report {
  readonly title: string;
  /** Whether a clock or a simulation made the times. */
  readonly source: "measured" | "simulated";
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** Of all ranks, or of the first ones. */
  readonly timelines: readonly RankTimeline[];
  readonly rankCount: number;
  /** Peak bytes of each rank's device, and what one device that holds everything would need at least. */
  readonly memory: { readonly devices: readonly number[]; readonly alone: number };
  /** A table of the ranks: a head row, then one for each. */
  readonly ranks: readonly (readonly string[])[];
}

const STYLE = `:root{--ground:#fff;--ink:#1b1b1f;--dim:#5c5c66;--grid:#e6e6ea;--soft:#f4f4f7;--compute:#2458d3;--upload:#0e8f83;--read:#b7791f;--transfer:#c2410c;--on:#fff}
@media(prefers-color-scheme:dark){:root{--ground:#141417;--ink:#e8e8ec;--dim:#a4a4ae;--grid:#2a2a30;--soft:#1f1f24;--compute:#6c93f5;--upload:#3cc4b6;--read:#e0b04a;--transfer:#f0824a;--on:#141417}}
body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--ground)}
svg{width:100%;height:auto}svg text{font:12px system-ui;fill:var(--dim)}svg text.on{font-size:10px;fill:var(--on);text-anchor:middle;pointer-events:none}
rect{stroke:var(--ground);stroke-width:.4}.grid{stroke:var(--grid)}.compute{fill:var(--compute)}.upload{fill:var(--upload)}.read{fill:var(--read)}.transfer{fill:var(--transfer)}.device{fill:var(--compute)}.alone{stroke:var(--dim);stroke-dasharray:6 4}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.5rem}dt{color:var(--dim)}dd{margin:0}
table{border-collapse:collapse}th,td{padding:.15rem .9rem;text-align:right;border-bottom:1px solid var(--grid)}th:first-child,td:first-child{text-align:left;padding-left:0}th{color:var(--dim);font-weight:500}
.key span{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}.scroll{overflow-x:auto}`;

const PHASES: readonly RingPhase[] = ["forward", "backward"];

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string): string => `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join("")}</tr>`;
  return `<div class="scroll"><table><thead>${cells(head, "th")}</thead><tbody>${rows.map((row) => cells(row, "td")).join("")}</tbody></table></div>`;
}

function phaseSection({ timelines, rankCount }: Report, phase: RingPhase): string {
  const drawn = timelineSvg(timelines, phase);
  if (drawn === "") return "";
  const steps = summarise(timelines, phase);
  const rows = steps.map(({ step, compute, slowest, transfer, hidden }) => [String(step), compute.toFixed(3), slowest.toFixed(3), transfer.toFixed(3), transfer === 0 ? "" : percent(hidden)]);
  return `<h2>${phase === "forward" ? "Forward" : "Backward"}</h2>
${drawn}${rankCount > MOST_ROWS ? `<p>The first ${MOST_ROWS} of ${rankCount.toLocaleString("en")} ranks.</p>` : ""}
${table([["step", "compute, mean ms", "compute, slowest ms", "a transfer, ms", "hidden"], ...rows])}${steps.length === MOST_STEPS ? `<p>The first ${MOST_STEPS} steps.</p>` : ""}`;
}

const MOST_BARS = 64;

/** A bar a device, beside a line for one device that holds everything. */
function memoryBars({ devices, alone }: Report["memory"]): string {
  const shown = devices.slice(0, MOST_BARS);
  const most = Math.max(alone, ...devices);
  const [left, width, row] = [64, 720, 20];
  const height = shown.length * row + 24;
  const at = (size: number): number => left + (size / most) * width;
  return `<svg viewBox="0 0 960 ${height}" role="img" aria-label="memory of each device">
${shown.map((size, rank) => `<text x="${left - 8}" y="${rank * row + 14}" text-anchor="end">rank ${rank}</text><rect x="${left}" y="${rank * row + 3}" width="${(at(size) - left).toFixed(1)}" height="14" class="device"/><text x="${(at(size) + 6).toFixed(1)}" y="${rank * row + 14}">${escape(bytes(size))}</text>`).join("\n")}
<line x1="${at(alone).toFixed(1)}" x2="${at(alone).toFixed(1)}" y1="0" y2="${shown.length * row}" class="alone"/><text x="${at(alone).toFixed(1)}" y="${height - 6}" text-anchor="middle">${escape(bytes(alone))} on one device</text>
</svg>${devices.length > shown.length ? `<p>The first ${shown.length} of ${devices.length} devices.</p>` : ""}`;
}

/** One page without outside parts, for light and dark: timelines, steps, memory, ranks. */
export function reportHtml(report: Report): string {
  const { title, source, facts, memory, ranks } = report;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>${escape(title)}</title><style>${STYLE}</style></head><body>
<h1>${escape(title)}</h1>
<dl>${facts.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join("")}</dl>
<p class="key">Times are ${source}. Above in each row the device, below its link:<span style="background:var(--compute)"></span>compute<span style="background:var(--upload)"></span>upload<span style="background:var(--read)"></span>read<span style="background:var(--transfer)"></span>transfer. A transfer below compute is hidden; a read also waits for the compute before it.</p>
${PHASES.map((phase) => phaseSection(report, phase)).join("\n")}
<h2>Memory a device</h2>
${memoryBars(memory)}
<h2>Ranks</h2>
${table(ranks)}
</body></html>
`;
}
