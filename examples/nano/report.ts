import type { StepRecord } from "@polyhead/train";
import { matmulPlan, medianSpeed, validationLoss, type Told } from "./summary.ts";

/** What the model wrote when it had learned for so many steps. */
export interface Sample {
  readonly step: number;
  readonly loss: number;
  readonly text: string;
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const WIDTH = 760;
const HEIGHT = 320;
const MARGIN = { left: 48, right: 16, top: 16, bottom: 32 };

/** The loss curve as SVG: training in grey, validation in blue, the bigram bar dashed. */
function lossCurve({ records, run }: Told): string {
  const steps = records.filter((r): r is StepRecord => r.kind === "step");
  const evaluations = records.filter((r) => r.kind === "evaluation");
  const losses = [...records.map((r) => r.loss), run.bigram];
  const [low, high] = [Math.floor(Math.min(...losses) * 2) / 2, Math.ceil(Math.max(...losses) * 2) / 2];
  const last = Math.max(1, ...records.map((r) => r.step));
  const x = (step: number): number => MARGIN.left + (step / last) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (loss: number): number => MARGIN.top + ((high - loss) / (high - low || 1)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const line = (points: readonly { readonly step: number; readonly loss: number }[]): string => points.map((p) => `${x(p.step).toFixed(1)},${y(p.loss).toFixed(1)}`).join(" ");
  const ticks = Array.from({ length: Math.round((high - low) * 2) + 1 }, (_, i) => low + i / 2);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="loss by step">
${ticks.map((t) => `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(t)}" y2="${y(t)}" class="grid"/><text x="${MARGIN.left - 8}" y="${y(t) + 4}" text-anchor="end">${t.toFixed(1)}</text>`).join("\n")}
${[0, 0.5, 1].map((f) => `<text x="${x(f * last)}" y="${HEIGHT - 8}" text-anchor="${f === 0 ? "start" : f === 1 ? "end" : "middle"}">${Math.round(f * last)}</text>`).join("")}
<polyline points="${line(steps)}" class="train"/>
<polyline points="${line(evaluations)}" class="validation"/>
${evaluations.map((p) => `<circle cx="${x(p.step)}" cy="${y(p.loss)}" r="3"><title>step ${p.step}: ${p.loss.toFixed(4)}</title></circle>`).join("")}
<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(run.bigram)}" y2="${y(run.bigram)}" class="bar"/><text x="${WIDTH - MARGIN.right}" y="${y(run.bigram) - 6}" text-anchor="end">bigram model ${run.bigram.toFixed(3)}</text>
</svg>`;
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:820px;margin:2rem auto;padding:0 1rem;color:#1b1b1f;background:#fff}
svg{width:100%;height:auto}svg text{font:12px system-ui;fill:#555}.grid{stroke:#eee}.train{fill:none;stroke:#b8b8c0}.validation{fill:none;stroke:#2458d3;stroke-width:2}circle{fill:#2458d3}.bar{stroke:#c2410c;stroke-dasharray:6 4}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.5rem}dt{color:#555}dd{margin:0}pre{white-space:pre-wrap;background:#f6f6f8;padding:.8rem;border-radius:6px}
@media(prefers-color-scheme:dark){body{background:#141417;color:#e8e8ec}pre{background:#1f1f24}.grid{stroke:#2a2a30}svg text,dt{fill:#aaa;color:#aaa}}`;

/** One page without outside parts: curve, numbers, plan and samples. */
export function reportHtml(told: Told): string {
  const { run, adapter, records, samples } = told;
  const loss = validationLoss(records);
  const facts: readonly (readonly [string, string])[] = [
    ["adapter", adapter],
    ["text", run.title],
    ["parameters", run.model.parameters.count.toLocaleString("en")],
    ["speed", `${Math.round(medianSpeed(records)).toLocaleString("en")} tokens/s`],
    ["validation loss", loss === undefined ? "not measured" : `${loss.toFixed(4)} nats a character`],
    ["bigram model", `${run.bigram.toFixed(4)} nats a character`],
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Polyhead run: ${escape(run.title)}</title><style>${STYLE}</style></head><body>
<h1>Polyhead learns ${escape(run.title)}</h1>
${lossCurve(told)}
<p>Cross-entropy in nats a character, by update: training grey, validation blue.</p>
<dl>${facts.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join("")}</dl>
<h2>Plan</h2>
<pre>${escape([run.model.explain(), ...matmulPlan(run)].join("\n"))}</pre>
<h2>Samples</h2>
${samples.map((s) => `<h3>step ${s.step}, validation loss ${s.loss.toFixed(3)}</h3><pre>${escape(s.text.trim())}</pre>`).join("\n")}
<h2>Configuration</h2>
<pre>${escape(JSON.stringify(run.config, null, 2))}</pre>
</body></html>
`;
}
