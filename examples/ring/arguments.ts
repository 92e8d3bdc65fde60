import { causal, full, PolyheadError, suggest, window, type Mask } from "@polyhead/core";
import { readArguments, readNumber, type NumberRange } from "@polyhead/model/node";

const CHOICES = {
  layout: { choices: ["zigzag", "striped", "contiguous"], value: "zigzag", doc: "which tokens a rank holds" },
  scheme: { choices: ["ring", "heads"], value: "ring", doc: "pass blocks of keys around, or gather heads (all-to-all)" },
  comm: { choices: ["auto", "local", "mpi"], value: "auto", doc: "one process, or MPI; auto is mpi under mpirun and Slurm" },
  dtype: { choices: ["f32", "f16", "bf16"], value: "", doc: "of q, k and v; default f32, and bf16 in a plan" },
} as const;

interface NumberOption {
  readonly value?: number;
  readonly doc: string;
  readonly range?: NumberRange;
}

const COUNT: NumberRange = { least: 1, whole: true };
const RATE: NumberRange = { least: 0, above: true };
const NUMBERS = {
  ranks: { value: 4, doc: "number of ranks, each with a device of its own" },
  seq: { value: 16384, doc: "number of tokens of the whole sequence" },
  heads: { doc: "number of query heads; default 4, and 32 in a plan" },
  "kv-heads": { doc: "number of key heads; default half of the heads, and all of them in a plan" },
  "head-dim": { doc: "features of a head; default 64, and 128 in a plan" },
  window: { doc: "number of positions that a query looks back, instead of all", range: { least: 0, whole: true } },
  repeat: { value: 1, doc: "number of timed repetitions; the fastest counts" },
  devices: { value: 1024, doc: "plan: number of devices" },
  flops: { value: 10e12, doc: "plan: useful FLOP a second of a device's kernel", range: RATE },
  link: { value: 12.5e9, doc: "plan: bytes a second that a device can send", range: RATE },
  latency: { value: 0, doc: "plan: seconds until a message's first byte is there", range: { least: 0 } },
  bus: { doc: "plan: bytes a second between host and device; default as the link", range: RATE },
  step: { value: 150e-6, doc: "plan: seconds that a step costs whatever its size", range: { least: 0 } },
} as const satisfies Record<string, NumberOption>;

const WORDS = { report: "write an HTML page with timeline and memory to this file" } as const;
const FLAGS = {
  plan: "compute memory, times and balance instead of attention",
  causal: "a query looks back alone (the default)",
  full: "a query looks everywhere",
  backward: "gradients, too",
  check: "compare with one device that holds everything",
  help: "this page",
} as const;

type NumberName = keyof typeof NUMBERS;
type ChoiceName = keyof typeof CHOICES;

/** What both a run and a plan are about. */
export interface Options {
  readonly plan: boolean;
  readonly help: boolean;
  readonly backward: boolean;
  readonly check: boolean;
  readonly layout: (typeof CHOICES.layout.choices)[number];
  readonly scheme: (typeof CHOICES.scheme.choices)[number];
  readonly comm: (typeof CHOICES.comm.choices)[number];
  readonly dtype: (typeof CHOICES.dtype.choices)[number];
  readonly mask: Mask;
  readonly report: string | undefined;
  readonly ranks: number;
  /** Whether --ranks was written: under MPI the launcher says how many there are. */
  readonly ranksGiven: boolean;
  readonly seq: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly repeat: number;
  readonly flops: number;
  readonly link: number;
  readonly latency: number;
  readonly bus: number;
  readonly step: number;
}

/**
 * Reads a command line.
 *
 * @throws PolyheadError `ARGUMENT_UNKNOWN`, `ARGUMENT_CHOICE`, `ARGUMENT_NUMBER`, `ARGUMENT_VALUE`, `ARGUMENT_CLASH`.
 */
export function readOptions(args: readonly string[]): Options {
  const { words, flags } = readArguments(args, [...Object.keys(CHOICES), ...Object.keys(NUMBERS), ...Object.keys(WORDS)], Object.keys(FLAGS));
  const plan = flags.has("plan");
  const number = <D extends number | undefined>(name: NumberName, otherwise: D): number | D => {
    const { range = COUNT, doc }: NumberOption = NUMBERS[name];
    const given = words[name];
    return given === undefined ? otherwise : readNumber(name, given, range, doc);
  };
  const choice = <N extends ChoiceName>(name: N, otherwise: (typeof CHOICES)[N]["choices"][number]): (typeof CHOICES)[N]["choices"][number] => {
    const choices: readonly string[] = CHOICES[name].choices;
    const given = words[name];
    if (given === undefined) return otherwise;
    if (!choices.includes(given)) throw new PolyheadError("ARGUMENT_CHOICE", `--${name} is '${given}'; expected one of ${choices.join(", ")}`, suggest(given, choices));
    return given as (typeof CHOICES)[N]["choices"][number];
  };

  const near = number("window", undefined);
  const masks = [flags.has("causal") && "--causal", flags.has("full") && "--full", near !== undefined && "--window"].filter((name) => name !== false);
  if (masks.length > 1) throw new PolyheadError("ARGUMENT_CLASH", `${masks.join(" and ")} are two masks`, "write one of them");
  const heads = number("heads", plan ? 32 : 4);
  const kvHeads = number("kv-heads", plan ? heads : Math.max(1, heads >> 1));
  if (heads % kvHeads !== 0) throw new PolyheadError("ARGUMENT_NUMBER", `--kv-heads is ${kvHeads}; expected a divisor of the ${heads} heads`, "each key head serves as many query heads as any other");
  const dtype = choice("dtype", plan ? "bf16" : "f32");
  if (dtype === "bf16" && !plan) throw new PolyheadError("ARGUMENT_CHOICE", "--dtype is 'bf16', which WebGPU does not compute with", "run with f32 or f16; bf16 is for plans");
  if (dtype === "f16" && flags.has("backward")) throw new PolyheadError("ARGUMENT_CLASH", "--dtype f16 and --backward: a leaf gathers its gradient in f32", "leave one of them out");
  const link = number("link", NUMBERS.link.value);
  return {
    plan, help: flags.has("help"), backward: flags.has("backward"), check: flags.has("check"),
    layout: choice("layout", "zigzag"), scheme: choice("scheme", "ring"), comm: choice("comm", "auto"), dtype,
    mask: near !== undefined ? window(near) : flags.has("full") ? full() : causal(),
    report: words["report"],
    ranks: plan ? number("devices", number("ranks", NUMBERS.devices.value)) : number("ranks", NUMBERS.ranks.value),
    ranksGiven: words["ranks"] !== undefined,
    seq: number("seq", plan ? 1_000_000 : NUMBERS.seq.value),
    heads, kvHeads, headDim: number("head-dim", plan ? 128 : 64), repeat: number("repeat", NUMBERS.repeat.value),
    flops: number("flops", NUMBERS.flops.value), link, latency: number("latency", 0), bus: number("bus", link), step: number("step", NUMBERS.step.value),
  };
}

export function help(): string {
  const line = (name: string, text: string): string => `  --${name.padEnd(10)} ${text}`;
  const valued = ({ value, doc }: NumberOption): string => (value === undefined ? doc : `${doc}; default ${value}`);
  return [
    "npm run ring -- [options]          attention over several devices: times, bytes, memory, and a page that shows them",
    "npm run ring -- --plan [options]   what that would take on devices that you do not have",
    "",
    ...Object.entries(CHOICES).map(([name, { choices, value, doc }]) => line(name, `${choices.join(" | ")}${value === "" ? "" : `  (default ${value})`}: ${doc}`)),
    "",
    ...Object.entries(NUMBERS).map(([name, option]) => line(name, valued(option))),
    "",
    ...Object.entries({ ...WORDS, ...FLAGS }).map(([name, doc]) => line(name, doc)),
  ].join("\n");
}
