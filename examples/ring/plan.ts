import { describe } from "@polyhead/core";
import { balanceOf, causalBalance, countSteps, deviceMemory, gatherHeads, hidingTokens, simulateRing, stepTimes, wireBytes, type RingMachine, type RingPhase, type RingProblem, type Simulated } from "@polyhead/attn-ring/planning";
import type { Options } from "./arguments.ts";
import type { Report } from "./report.ts";
import { MOST_ROWS } from "./timeline-svg.ts";
import { bytes, count, percent, seconds, table } from "./units.ts";

const PHASES: readonly RingPhase[] = ["forward", "backward"];
const LAYOUTS = ["contiguous", "striped", "zigzag"] as const;

export const problemOf = ({ ranks, seq, heads, kvHeads, headDim, dtype, mask, layout }: Options): RingProblem => ({ ranks, tokens: seq, heads, kvHeads, headDim, elementBytes: dtype === "f32" ? 4 : 2, mask, layout });

export const machineOf = ({ flops, link, latency, bus, step }: Options): RingMachine => ({ flops, linkBytes: link, latency, busBytes: bus, stepSeconds: step });

/** The pages of a plan: what is assumed, each phase by the formulas and by simulation, each layout, and the other scheme. */
export function planText(options: Options): string {
  const problem = problemOf(options);
  const machine = machineOf(options);
  const window = options.mask.kind === "window";
  const steps = new Map(LAYOUTS.map((layout) => [layout, countSteps({ ...problem, layout })]));
  const simulated = new Map(LAYOUTS.map((layout) => [layout, PHASES.map((phase) => simulateRing({ ...problem, layout }, machine, phase, { steps: steps.get(layout)! }))]));
  return [
    `${count(options.ranks)} devices, ${count(options.seq)} tokens: blocks of ${count(options.seq / options.ranks)}; ${options.heads} heads and ${options.kvHeads} key heads of ${options.headDim}, ${options.dtype}; ${describe(options.mask)}, ${options.layout}`,
    `each device ${(options.flops / 1e12).toPrecision(3)} TFLOP/s; link ${rate(options.link)}, ${seconds(options.latency)} latency; bus to the host ${rate(options.bus)}; ${seconds(options.step)} a step`,
    "",
    table([["", ...PHASES], ...phaseRows(problem, machine, simulated.get(options.layout)!, window)]),
    ...(window ? ["", "the law of equal steps does not hold for a window, which skips some: times are simulated"] : []),
    "",
    table([["layout", "balance", "by formula", ...PHASES.flatMap((phase) => [`${phase} simulated`, "busy"])], ...LAYOUTS.map((layout) => [layout, ...layoutRow(options, layout, balanceOf(steps.get(layout)!).lockstep, simulated.get(layout)!)])]),
    "balance: mean work of a device over the greatest, added up over the steps; busy: share of the time in which devices multiply and add",
    "",
    gathered(problem, machine, window),
  ].join("\n");
}

const rate = (value: number): string => `${(value / 1e9).toPrecision(4)} GB/s`;

function phaseRows(problem: RingProblem, machine: RingMachine, simulated: readonly Simulated[], window: boolean): string[][] {
  const each = (of: (phase: RingPhase, simulated: Simulated) => string): string[] => PHASES.map((phase, i) => of(phase, simulated[i]!));
  const memory = each((phase) => bytes(deviceMemory(problem, phase).bytes));
  const sent = each((phase) => bytes(Math.max(...wireBytes(problem, phase).sent)));
  const law = (of: (phase: RingPhase) => string): string[] => (window ? [] : each(of));
  const rows: string[][] = [
    ["memory a device", ...memory],
    ["sent by a device", ...sent],
    ["a step computes, t_c", ...law((phase) => seconds(stepTimes(problem, machine, phase).compute))],
    ["  of that, arithmetic", ...law((phase) => seconds(stepTimes(problem, machine, phase).arithmetic))],
    ["a step transfers, t_n", ...law((phase) => seconds(stepTimes(problem, machine, phase).network))],
    ["transfer hides from", ...law((phase) => `${count(hidingTokens(problem, machine, phase))} tokens a rank`)],
    ["time by the law", ...law((phase) => seconds(stepTimes(problem, machine, phase).total))],
    ["time simulated", ...each((_, { seconds: time }) => seconds(time))],
    ["efficiency by the law", ...law((phase) => percent(stepTimes(problem, machine, phase).efficiency))],
    ["efficiency simulated", ...each((_, { utilisation }) => percent(utilisation))],
  ];
  return rows.filter((row) => row.length > 1);
}

function layoutRow({ ranks, seq, mask }: Options, layout: (typeof LAYOUTS)[number], balance: number, simulated: readonly Simulated[]): string[] {
  const formula = mask.kind === "causal" ? percent(causalBalance(layout, ranks, seq / ranks)) : mask.kind === "full" ? percent(1) : "-";
  return [percent(balance), formula, ...simulated.flatMap(({ seconds: time, utilisation }) => [seconds(time), percent(utilisation)])];
}

function gathered(problem: RingProblem, machine: RingMachine, window: boolean): string {
  if (problem.kvHeads % problem.ranks !== 0) return `gathering heads: not here; ${count(problem.ranks)} devices cannot share out ${problem.kvHeads} key heads`;
  if (window) return "gathering heads: possible";
  return table([
    ["gathering heads", ...PHASES],
    ...(["sent by a device", "time", "efficiency", "memory a device"] as const).map((name) => [
      name,
      ...PHASES.map((phase) => {
        const { sentBytes, seconds: time, efficiency, deviceBytes } = gatherHeads(problem, machine, phase);
        return name === "time" ? seconds(time) : name === "efficiency" ? percent(efficiency) : bytes(name === "memory a device" ? deviceBytes : sentBytes);
      }),
    ]),
  ]);
}

/** The simulated timeline of the plan's own layout, for the page that a run writes, too. */
export function planReport(options: Options): Report {
  const problem = problemOf(options);
  const machine = machineOf(options);
  const steps = countSteps(problem);
  const simulated = PHASES.map((phase) => simulateRing(problem, machine, phase, { steps, timelines: MOST_ROWS }));
  const memory = deviceMemory(problem, "backward").bytes;
  const sent = PHASES.map((phase) => wireBytes(problem, phase, steps).sent);
  return {
    title: `A plan: ${count(options.seq)} tokens on ${count(options.ranks)} devices`,
    source: "simulated",
    facts: [
      ["heads", `${options.heads}, ${options.kvHeads} of keys, of ${options.headDim}, ${options.dtype}`],
      ["mask and layout", `${describe(options.mask)}, ${options.layout}`],
      ["device", `${(options.flops / 1e12).toPrecision(3)} TFLOP/s, ${seconds(options.step)} a step`],
      ["link and bus", `${rate(options.link)}, ${rate(options.bus)}`],
      ...PHASES.map((phase, i): [string, string] => [phase, `${seconds(simulated[i]!.seconds)}, ${percent(simulated[i]!.utilisation)} of it arithmetic`]),
    ],
    timelines: simulated[0]!.timelines.map(({ rank, events }, i) => ({ rank, events: [...events, ...simulated[1]!.timelines[i]!.events] })),
    rankCount: options.ranks,
    memory: { devices: steps.lengths.map((length) => (memory * length) / Math.max(...steps.lengths)), alone: deviceMemory({ ...problem, ranks: 1 }, "backward").bytes },
    ranks: [["rank", "tokens", ...PHASES.map((phase) => `${phase} done after`), ...PHASES.map((phase) => `${phase} sent`)], ...steps.lengths.slice(0, 64).map((length, rank) => [String(rank), count(length), ...simulated.map(({ finished }) => seconds(finished[rank]!)), ...sent.map((of) => bytes(of[rank]!))])],
  };
}
