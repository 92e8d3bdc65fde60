import type { Case, Contender, Runner } from "./contender.ts";

export interface Result {
  readonly contender: string;
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
  readonly facts?: Record<string, number>;
}

export interface RaceOptions {
  readonly reps: number;
  /** Time allowed to one contender for its setup and its warm-ups, in seconds. */
  readonly capSeconds: number;
  readonly clock?: () => number;
  readonly note?: (line: string) => void;
}

interface Racer {
  readonly contender: string;
  readonly runner: Runner;
  readonly firstMs: number;
  readonly times: number[];
  maxError: number;
  failure?: string;
}

/**
 * Races contenders repetition by repetition, in an order that rotates, so that whatever else the machine does
 * meets all of them alike. Every output is checked, outside the timed span.
 *
 * @returns one result a contender: the right ones first, fastest first; then the wrong, then the failed.
 */
export async function race<Problem>(contest: Case<Problem>, options: RaceOptions): Promise<Result[]> {
  const { reps, capSeconds, clock = () => performance.now(), note = () => undefined } = options;
  const failed: Result[] = [];
  const racers: Racer[] = [];
  for (const contender of contest.contenders) {
    try {
      const racer = await within(capSeconds, warmUp(contest, contender, clock));
      note(`${contender.name}: ready after ${racer.firstMs.toFixed(0)} ms, error ${racer.maxError.toExponential(1)}`);
      racers.push(racer);
    } catch (cause) {
      note(`${contender.name}: failed`);
      failed.push({ contender: contender.name, verdict: "failed", reason: sentence(cause) });
    }
  }
  for (let rep = 0; rep < reps; rep++) {
    for (let turn = 0; turn < racers.length; turn++) {
      const racer = racers[(turn + rep) % racers.length];
      if (racer && racer.failure === undefined) await timeOne(contest, racer, contest.warmups + rep, clock);
    }
  }
  const results = racers.map((racer) => judge(contest, racer));
  for (const racer of racers) racer.runner.close?.();
  return rank([...results, ...failed]);
}

/** Right ones by time, then wrong ones, then failed ones, each in the order given. */
export function rank(results: readonly Result[]): Result[] {
  const place = { right: 0, wrong: 1, failed: 2 } as const;
  return [...results].sort((a, b) =>
    a.verdict === "right" && b.verdict === "right"
      ? (a.ms ?? Infinity) - (b.ms ?? Infinity)
      : place[a.verdict] - place[b.verdict],
  );
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
  const start = clock();
  const runner = await contender.setup(contest.problem);
  const first = await runner.run();
  const firstMs = clock() - start;
  const racer: Racer = { contender: contender.name, runner, firstMs, times: [], maxError: contest.error(first, 0) };
  for (let repetition = 1; repetition < contest.warmups; repetition++) {
    noteError(racer, contest.error(await runner.run(), repetition));
  }
  return racer;
}

async function timeOne<Problem>(contest: Case<Problem>, racer: Racer, repetition: number, clock: () => number): Promise<void> {
  try {
    const start = clock();
    const output = await racer.runner.run();
    racer.times.push((clock() - start) / contest.perRun);
    noteError(racer, contest.error(output, repetition));
  } catch (cause) {
    racer.failure = sentence(cause);
  }
}

/** NaN is the worst error of all, and `Math.max` lets it through. */
function noteError(racer: Racer, error: number): void {
  racer.maxError = Math.max(racer.maxError, error);
}

function judge<Problem>(contest: Case<Problem>, racer: Racer): Result {
  const { contender, firstMs, maxError, times, failure } = racer;
  if (failure !== undefined) return { contender, verdict: "failed", reason: failure, firstMs, maxError };
  const right = maxError <= contest.tolerance;
  const facts = racer.runner.facts?.();
  return {
    contender,
    verdict: right ? "right" : "wrong",
    ...(right ? {} : { reason: `error ${maxError.toExponential(1)}, where ${contest.tolerance.toExponential(0)} is allowed` }),
    ms: median(times),
    leastMs: Math.min(...times),
    firstMs,
    maxError,
    ...(facts ? { facts } : {}),
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
