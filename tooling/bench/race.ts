import type { Case, Contender, Decoding, Facts, Output, Role, Runner } from "./contender.ts";

export interface Result {
  readonly contender: string;
  readonly role: Role;
  readonly verdict: "right" | "wrong" | "failed";
  /** Why a contender is not ranked. */
  readonly reason?: string;
  /** Median and least time of one product or step; absent when it failed. */
  readonly ms?: number;
  readonly leastMs?: number;
  /** Setup and first repetition, compiling included. */
  readonly firstMs?: number;
  /** Largest error of any repetition, the untimed ones included. */
  readonly maxError?: number;
  /** What was timed, where it is not the case's own work. */
  readonly flops?: number;
  readonly bytes?: number;
  readonly facts?: Facts;
  readonly decoding?: Decoding;
}

export interface RaceOptions {
  readonly reps: number;
  /** Time allowed to one contender for its setup and its warm-ups, in seconds. */
  readonly capSeconds: number;
  /** A contender that has spent this long on a case is timed no more, but three times at least unless they take three budgets. Default: no limit. */
  readonly budgetSeconds?: number;
  readonly clock?: () => number;
  readonly note?: (line: string) => void;
}

const LEAST_REPS = 3;

interface Racer {
  readonly contest: Contest;
  readonly contender: string;
  readonly role: Role;
  readonly runner: Runner;
  readonly firstMs: number;
  readonly times: number[];
  readonly perRun: number;
  maxError: number;
  failure?: string;
}

/** What a racer needs of its case once it is set up. */
type Contest = Omit<Case<never>, "problem" | "contenders">;

/** {@link raceTogether} for one case. */
export async function race<Problem>(contest: Case<Problem>, options: RaceOptions): Promise<Result[]> {
  const [results = []] = await raceTogether([contest], options);
  return results;
}

/**
 * Races contenders repetition by repetition, in an order that rotates, so that whatever else the machine does
 * meets all of them alike. Every output is checked, outside the timed span. Cases that are compared with each other
 * (causal with full, backward with forward) race together.
 *
 * @returns for every case one result a contender: the right ones first, fastest first; then the wrong, then the failed,
 * then the yardsticks.
 */
export async function raceTogether<Problem>(contests: readonly Case<Problem>[], options: RaceOptions): Promise<Result[][]> {
  const { reps, capSeconds, budgetSeconds = Infinity, clock = () => performance.now(), note = () => undefined } = options;
  const failed = new Map<Contest, Result[]>();
  const racers: Racer[] = [];
  for (const contest of contests) {
    for (const contender of contest.contenders) {
      const { name, role = "peer" } = contender;
      try {
        const racer = await within(capSeconds, warmUp(contest, contender, clock));
        note(`${contest.name}: ${name}: ready after ${racer.firstMs.toFixed(0)} ms, error ${racer.maxError.toExponential(1)}`);
        racers.push(racer);
      } catch (cause) {
        note(`${contest.name}: ${name}: failed`);
        failed.set(contest, [...(failed.get(contest) ?? []), { contender: name, role, verdict: "failed", reason: sentence(cause) }]);
      }
    }
  }
  for (let rep = 0; rep < reps; rep++) {
    for (let turn = 0; turn < racers.length; turn++) {
      const racer = racers[(turn + rep) % racers.length];
      if (racer === undefined || racer.failure !== undefined) continue;
      const budgets = rep >= LEAST_REPS ? 1 : LEAST_REPS;
      if (spentMs(racer) > budgets * budgetSeconds * 1000) continue;
      await timeOne(racer, racer.contest.warmups + rep, clock);
    }
  }
  const results = contests.map((contest) => {
    const mine = racers.filter((racer) => racer.contest === contest).map(judge);
    return rank([...mine, ...(failed.get(contest) ?? [])]);
  });
  for (const racer of racers) racer.runner.close?.();
  return results;
}

/** Right ones by time, then wrong ones, then failed ones, each in the order given; yardsticks at the end. */
export function rank(results: readonly Result[]): Result[] {
  const verdicts = { right: 0, wrong: 1, failed: 2 } as const;
  const place = ({ role, verdict }: Result): number => (role === "yardstick" ? 3 : verdicts[verdict]);
  return [...results].sort((a, b) => (place(a) === 0 && place(b) === 0 ? (a.ms ?? Infinity) - (b.ms ?? Infinity) : place(a) - place(b)));
}

/** The middle value; the mean of the middle two when their number is even; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  const low = sorted[Math.ceil(half) - 1] ?? NaN;
  const high = sorted[Math.floor(half)] ?? NaN;
  return (low + high) / 2;
}

async function warmUp<Problem>(contest: Case<Problem>, contender: Contender<Problem>, clock: () => number): Promise<Racer> {
  const { name, role = "peer" } = contender;
  const start = clock();
  const runner = await contender.setup(contest.problem);
  const first = await runner.run();
  const firstMs = clock() - start;
  const racer: Racer = { contest, contender: name, role, runner, firstMs, times: [], perRun: runner.yardstick?.perRun ?? contest.perRun, maxError: 0 };
  check(racer, first, 0);
  for (let repetition = 1; repetition < contest.warmups; repetition++) check(racer, await runner.run(), repetition);
  return racer;
}

async function timeOne(racer: Racer, repetition: number, clock: () => number): Promise<void> {
  try {
    const start = clock();
    const output = await racer.runner.run();
    racer.times.push((clock() - start) / racer.perRun);
    check(racer, output, repetition);
  } catch (cause) {
    racer.failure = sentence(cause);
  }
}

const spentMs = ({ times, perRun }: Racer): number => perRun * times.reduce((sum, ms) => sum + ms, 0);

/** NaN is the worst error of all, and `Math.max` lets it through. */
function check(racer: Racer, output: Output, repetition: number): void {
  const { runner, contest } = racer;
  const parts = output instanceof Float32Array ? [output] : output;
  const arranged = runner.arrange?.(parts) ?? joined(parts);
  racer.maxError = Math.max(racer.maxError, runner.yardstick?.error(arranged) ?? contest.error(arranged, repetition));
}

/** The arrays one after the other; a single one as it is. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function judge(racer: Racer): Result {
  const { contest, contender, role, runner, firstMs, maxError, times, failure } = racer;
  if (failure !== undefined) return { contender, role, verdict: "failed", reason: failure, firstMs, maxError };
  const right = maxError <= contest.tolerance;
  const facts = runner.facts?.();
  const decoding = runner.decoding?.();
  return {
    contender,
    role,
    verdict: right ? "right" : "wrong",
    ...(right ? {} : { reason: `error ${maxError.toExponential(1)}, where ${contest.tolerance.toExponential(0)} is allowed` }),
    ms: median(times),
    leastMs: Math.min(...times),
    firstMs,
    maxError,
    ...(runner.yardstick && { flops: runner.yardstick.flops, bytes: runner.yardstick.bytes }),
    ...(facts ? { facts } : {}),
    ...(decoding ? { decoding } : {}),
  };
}

async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not ready within ${String(seconds)} s (--cap)`));
    }, seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function sentence(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n")[0]?.slice(0, 200) ?? message;
}
