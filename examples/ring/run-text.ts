import { describe, type Mask } from "@polyhead/core";
import { deviceMemory, gatherHeads, wireBytes, type RingPhase, type RingProblem } from "@polyhead/attn-ring/planning";
import type { Options } from "./arguments.ts";
import { phasesOf } from "./attention.ts";
import { problemOf } from "./plan.ts";
import type { RankReport, RunReport } from "./rank.ts";
import type { Report } from "./report.ts";
import { bytes, count, table } from "./units.ts";

/** Bytes that all ranks send, by formula. */
export function expectedBytes({ scheme }: Pick<Options, "scheme">, problem: RingProblem, phase: RingPhase): number {
  if (problem.ranks === 1) return 0;
  if (scheme === "ring") return wireBytes(problem, phase).total;
  // How much is traded does not depend on who may look at whom.
  const mask: Mask = { kind: "full" };
  return gatherHeads({ ...problem, mask }, { flops: 1, linkBytes: 1 }, phase).totalBytes;
}

const ms = (value: number | undefined): string => (value === undefined ? "" : `${value.toFixed(1)} ms`);

function rankRows(ranks: readonly RankReport[], phases: readonly RingPhase[]): string[][] {
  return [
    ["rank", "tokens", ...phases, ...phases.map((phase) => `${phase} sent`), "peak memory"],
    ...ranks.map((rank) => [String(rank.rank), count(rank.tokens), ...phases.map((phase) => ms(rank.ms[phase])), ...phases.map((phase) => bytes(rank.sentBytes[phase]!)), bytes(rank.peakBytes)]),
  ];
}

const sentIn = (ranks: readonly RankReport[], phase: RingPhase): number => ranks.reduce((sum, { sentBytes }) => sum + sentBytes[phase]!, 0);

/** The times, bytes and memory of each rank, and how they stand to the formulas. */
export function runText(given: Options, { ranks, errors }: RunReport): string {
  const options = { ...given, ranks: ranks.length };
  const phases = phasesOf(options);
  const problem = problemOf(options);
  const wire = phases.map((phase) => {
    const [sent, expected] = [sentIn(ranks, phase), expectedBytes(options, problem, phase)];
    return `${phase} on the wire: ${count(sent)} bytes, by formula ${count(expected)}: ${sent === expected ? "equal" : "NOT EQUAL"}`;
  });
  const off = Object.entries(errors ?? {}).map(([name, error]) => `${name} ${error.toExponential(1)}`);
  return [
    `${headline(options)}; ${describe(options.mask)}, ${options.scheme === "ring" ? options.layout : `heads gathered, ${options.layout}`}, on ${adaptersOf(ranks)}`,
    "",
    table(rankRows(ranks, phases)),
    "",
    ...wire,
    ...(errors === undefined ? [] : [`against one device, of the largest number: ${off.join(", ")}: ${Object.values(errors).every((error) => error < 1e-5) ? "equal within 1e-5" : "NOT EQUAL"}`]),
  ].join("\n");
}

/** Whether everything that was compared is as it should be. */
export function rightIn(given: Options, { ranks, errors }: RunReport): boolean {
  const options = { ...given, ranks: ranks.length };
  return phasesOf(options).every((phase) => sentIn(ranks, phase) === expectedBytes(options, problemOf(options), phase)) && Object.values(errors ?? {}).every((error) => error < 1e-5);
}

const headline = ({ seq, ranks, heads, kvHeads, headDim, dtype }: Options): string => `${count(seq)} tokens on ${count(ranks)} ranks: ${heads} heads and ${kvHeads} key heads of ${headDim}, ${dtype}`;

const adaptersOf = (ranks: readonly RankReport[]): string => [...new Set(ranks.map(({ adapter }) => adapter))].join(", ");

/** What the page of a run shows. */
export function runReport(given: Options, report: RunReport): Report {
  const { ranks, errors } = report;
  const options = { ...given, ranks: ranks.length };
  const phases = phasesOf(options);
  const last = phases.at(-1)!;
  return {
    title: `Attention over ${count(options.seq)} tokens on ${count(options.ranks)} ranks`,
    source: "measured",
    facts: [
      ["heads", `${options.heads}, ${options.kvHeads} of keys, of ${options.headDim}, ${options.dtype}`],
      ["mask and layout", `${describe(options.mask)}, ${options.layout}, scheme '${options.scheme}'`],
      ["adapter", adaptersOf(ranks)],
      ...phases.map((phase): [string, string] => [phase, `${ms(Math.max(...ranks.map((rank) => rank.ms[phase]!)))}; ${count(sentIn(ranks, phase))} bytes on the wire, by formula ${count(expectedBytes(options, problemOf(options), phase))}`]),
      ...(errors === undefined ? [] : [["against one device", Object.entries(errors).map(([name, error]) => `${name} ${error.toExponential(1)}`).join(", ")] as [string, string]]),
    ],
    timelines: ranks.map(({ rank, events }) => ({ rank, events })),
    rankCount: ranks.length,
    memory: { devices: ranks.map(({ peakBytes }) => peakBytes), alone: deviceMemory({ ...problemOf(options), ranks: 1 }, last).bytes },
    ranks: rankRows(ranks, phases),
  };
}
