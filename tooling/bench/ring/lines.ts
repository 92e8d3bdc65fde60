import process from "node:process";
import type { Facts } from "../contender.ts";
import type { Line } from "../report.ts";
import { balanceCases, measureBalance, theoryOf } from "./balance.ts";
import { localBandwidth, workerBandwidth, type Bandwidth } from "./bandwidth.ts";
import { mpiBandwidth } from "./bandwidth-mpi.ts";
import { formulaMemory, measureMemory, memoryCases } from "./memory.ts";
import { measureOverlap, overlapCases, predictOverlap } from "./overlap.ts";
import { formulaBytes, measureWire, wireCases } from "./wire.ts";

export interface RingBenchOptions {
  readonly cases: RegExp;
  readonly reps: number;
  readonly quick: boolean;
  readonly adapter: string;
}

interface Measured {
  readonly contender: string;
  readonly ms: number;
  /** How far what was measured is from what the planner says, relative to that. */
  readonly off: number;
  readonly right: boolean;
  readonly reason?: string;
  readonly facts: Facts;
  readonly gigabytesPerSecond?: number;
}

const sixDigits = (value: number): number => Number(value.toPrecision(6));

const lineOf = ({ adapter }: RingBenchOptions, name: string, { contender, ms, off, right, reason, facts, gigabytesPerSecond }: Measured): Line => ({
  bench: "ring", case: name, contender, ms: sixDigits(ms), gflops: null, maxError: sixDigits(off), right, adapter, role: "ours", rank: null, leastMs: null, firstMs: null,
  ...(gigabytesPerSecond === undefined ? {} : { gigabytesPerSecond: sixDigits(gigabytesPerSecond) }),
  ...(right || reason === undefined ? {} : { reason }),
  ...(Object.keys(facts).length === 0 ? {} : { facts: Object.fromEntries(Object.entries(facts).map(([fact, value]) => [fact, typeof value === "number" && !Number.isInteger(value) ? sixDigits(value) : value])) }),
});

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const away = (measured: number, expected: number): number => (measured === expected ? 0 : Math.abs(measured / expected - 1));
const matching = <C extends { readonly name: string }>(cases: readonly C[], { cases: pattern }: RingBenchOptions): C[] => cases.filter(({ name }) => pattern.test(name));

/** What a ring is said to cost, beside what it costs, in groups of lines that make one table. */
export async function* ringLines(options: RingBenchOptions): AsyncGenerator<Line[]> {
  for (const one of matching(wireCases, options)) yield [await wireLine(one, options)];
  for (const one of matching(memoryCases, options)) yield [await memoryLine(one, options)];
  for (const one of matching(overlapCases, options)) yield [await overlapLine(one, options)];
  for (const one of matching(balanceCases(options.quick), options)) yield [await balanceLine(one, options)];
  if (options.cases.test("bandwidth")) yield* bandwidthLines(options);
}

async function wireLine(one: (typeof wireCases)[number], options: RingBenchOptions): Promise<Line> {
  const { ms, sentBytes } = await measureWire(one);
  const bytes = formulaBytes(one);
  return lineOf(options, one.name, { contender: "attn-ring", ms, off: away(sentBytes, bytes), right: sentBytes === bytes, reason: "the wire and the formula differ", facts: { "bytes sent": sentBytes, "by formula": bytes } });
}

/** One problem on more and more ranks: from two on, the peak falls as 1/ranks, and is what the planner says, or a little more. */
async function memoryLine(one: (typeof memoryCases)[number], options: RingBenchOptions): Promise<Line> {
  const { ms, peakBytes } = await measureMemory(one);
  const bytes = formulaMemory(one);
  const off = away(peakBytes, bytes);
  return lineOf(options, one.name, {
    contender: "attn-ring", ms, off, right: off < 0.15, reason: "more than 15 % from the planner's bytes",
    facts: { "peak bytes a device": peakBytes, "times ranks": peakBytes * one.ranks, "by formula": bytes },
  });
}

async function overlapLine(one: (typeof overlapCases)[number], options: RingBenchOptions): Promise<Line> {
  const { law, simulated } = predictOverlap(one);
  const times: number[] = [];
  for (let i = 0; i < Math.min(3, options.reps); i++) times.push(await measureOverlap(one));
  const ms = median(times);
  return lineOf(options, one.name, { contender: "exchange loop of attn-ring", ms, off: away(ms, simulated), right: away(ms, simulated) < 0.1, reason: "more than 10 % from the planner's time", facts: { "by the law, ms": law, "simulated, ms": simulated, "measured over law": ms / law } });
}

async function balanceLine(one: ReturnType<typeof balanceCases>[number], options: RingBenchOptions): Promise<Line> {
  const { ms, clock, ratio } = await measureBalance(one, options.reps);
  const theory = theoryOf(one);
  return lineOf(options, one.name, { contender: "attn-ring", ms: Math.max(...ms), off: away(ratio, theory), right: away(ratio, theory) < 0.15, reason: "more than 15 % from theory", facts: { "slowest over mean rank": ratio, "in theory": theory, [`${clock} ms by rank`]: ms.map((time) => time.toFixed(1)).join(" ") } });
}

const SIZES: Readonly<Record<number, string>> = { 1024: "1 KiB", 65_536: "64 KiB", 1_048_576: "1 MiB", 16_777_216: "16 MiB", 25_000_000: "25 MB" };
/** Of the engine's own bandwidth, at 1 MiB. */
const LEAST_SHARE = 0.7;

/** Messages between two ranks of this machine: of one process, of threads, and of processes under MPI beside the engine's own program. */
async function* bandwidthLines(options: RingBenchOptions): AsyncGenerator<Line[]> {
  const rounds = options.quick ? 50 : 200;
  const rateLine = (name: string, contender: string, bytes: number, ms: number, facts: Facts = {}): Line => lineOf(options, name, { contender, ms, off: 0, right: true, facts, gigabytesPerSecond: bytes / ms / 1e6 });
  const found: Bandwidth[] = [await localBandwidth(rounds), await workerBandwidth("transfer", rounds), await workerBandwidth("share", rounds)];
  const ofSize = new Map([[SIZES[found[0]!.bytes]!, found.map(({ contender, ms, bytes }) => rateLine("bandwidth 1 MiB", contender, bytes, ms))]]);
  const overMpi = mpiBandwidth(options.quick ? 1 : 3);
  if (overMpi.length === 0) process.stderr.write("# ring bandwidth of comm-mpi is left out: there is no mpirun of Open MPI or MPICH here\n");
  for (const { mpi, case: work, bytes, engine, ours } of overMpi) {
    const size = `${work === "one way" ? "" : "allReduce "}${SIZES[bytes] ?? `${bytes} bytes`}`;
    const lines = ofSize.get(size) ?? [];
    ofSize.set(size, lines);
    const ms = (rate: number): number => bytes / rate / 1e6;
    const share = engine === undefined ? undefined : ours / engine;
    const enough = share === undefined || size !== "1 MiB" || share >= LEAST_SHARE;
    lines.push({
      ...rateLine(`bandwidth ${size}`, `comm-mpi, ${mpi}`, bytes, ms(ours), share === undefined ? { "of C": "no compiler for it here" } : { "of C": share }),
      ...(enough ? {} : { right: false, reason: `less than ${LEAST_SHARE} of what the engine's own program reaches` }),
    });
    if (engine !== undefined) lines.push({ ...rateLine(`bandwidth ${size}`, `${mpi} from C`, bytes, ms(engine)), role: "yardstick" });
  }
  yield* ofSize.values();
}
