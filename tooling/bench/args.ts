import { parseArgs } from "node:util";

const benches = ["matmul", "train", "attention", "flex", "decode", "ring"] as const;
export type Bench = (typeof benches)[number];

const kernels = ["flash", "reference"] as const;
/** A kernel that our model can train on. */
export type OurKernel = (typeof kernels)[number];

/** What compiles, tunes or loads for minutes. */
const SLOW: readonly Bench[] = ["attention", "flex", "decode", "ring"];

export interface Args {
  readonly benches: readonly Bench[];
  readonly json: boolean;
  readonly reps: number;
  readonly only: readonly string[];
  readonly quick: boolean;
  /** Cases whose name matches; all without it. */
  readonly cases: RegExp;
  /** Folder of the reference data, for the story model. */
  readonly data: string;
  /** Kernels that our model trains on, each a contender of its own; none: what the planner chooses. */
  readonly kernels: readonly OurKernel[];
  /** Whether our steps are replayed; both values make two contenders. */
  readonly replay: readonly boolean[];
  /** Whether peers wait for a software GPU as we do, or in their own way. */
  readonly waitAlike: boolean;
  readonly capSeconds: number;
  readonly budgetSeconds: number;
  readonly help: boolean;
}

export function usage(): string {
  return `npm run bench -- [${benches.join("] [")}] [options]
  --json        one JSON line a contender and case
  --reps N      timed repetitions (default 7)
  --quick       three repetitions, and the smallest sizes alone
  --only a,b    contenders whose name contains a or b
  --cases RE    attention, flex, decode, ring: cases whose name matches, such as 'causal (512|1024)', 'window' or 'overlap'
  --data DIR    decode: where the reference data lies, of which it runs the story model (default ../shared/reference)
  --kernel a,b  train: kernels of our model, each a contender (default: what the planner chooses)
  --replay a,b  train: on, off or both (default on): whether our steps are recorded and replayed
  --wait-alike  peers leave a software GPU its cores while they wait, as ours do
  --cap N       seconds that a contender may take to get ready (default 300; attention, flex, decode 600)
  --budget N    attention, flex, decode: seconds after which a contender is timed no more, mostly three repetitions at least (default 40)`;
}

/** @throws Error that names the argument at fault. */
export function readArgs(argv: readonly string[]): Args {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      reps: { type: "string" },
      only: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      cases: { type: "string", default: "" },
      data: { type: "string", default: "../shared/reference" },
      kernel: { type: "string", default: "" },
      replay: { type: "string", default: "on" },
      "wait-alike": { type: "boolean", default: false },
      cap: { type: "string" },
      budget: { type: "string", default: "40" },
      help: { type: "boolean", default: false },
    },
  });
  const named = positionals.map((name) => known("bench", name, benches));
  return {
    benches: named.length > 0 ? named : benches,
    json: values.json,
    reps: positive("--reps", values.reps ?? (values.quick ? "3" : "7")),
    only: listed(values.only),
    cases: pattern(values.cases),
    data: values.data,
    kernels: listed(values.kernel).map((name) => known("kernel", name, kernels)),
    quick: values.quick,
    replay: listed(values.replay).map(switched),
    waitAlike: values["wait-alike"],
    capSeconds: positive("--cap", values.cap ?? (named.length === 0 || named.some((bench) => SLOW.includes(bench)) ? "600" : "300")),
    budgetSeconds: positive("--budget", values.budget),
    help: values.help,
  };
}

/** Those whose name contains one of `parts`; all for none. */
export function chosen<T extends { readonly name: string }>(contenders: readonly T[], parts: readonly string[]): T[] {
  return contenders.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
}

function known<T extends string>(what: string, name: string, names: readonly T[]): T {
  const found = names.find((one) => one === name);
  if (found === undefined) throw new Error(`unknown ${what} '${name}'; there are: ${names.join(", ")}`);
  return found;
}

const listed = (text: string): string[] => text.split(",").filter((part) => part !== "");

function switched(text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new Error(`--replay wants on, off or on,off; got '${text}'`);
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new Error(`--cases wants a regular expression, got '${text}'`);
  }
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} wants a whole number from 1, got '${text}'`);
  return value;
}
