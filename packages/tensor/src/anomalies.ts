import { showShape, TensorError } from "./errors.ts";
import { findFirstBad, quoteNumber, type Bad } from "./kernels/first-bad.ts";
import type { Engine } from "./engine.ts";
import type { Tensor } from "./tensor.ts";
import { contiguous } from "./views.ts";

/** What an operator is called in messages; a function where finding it out takes time. */
export type OperatorName = string | (() => string);

/** What is wrong, and what to do about it. */
export interface Finding {
  readonly message: string;
  readonly fix: string;
}

/** A computation to be watched. It is at fault where its output holds a bad number and no input does. */
export interface Suspect {
  readonly output: Tensor;
  readonly inputs: readonly Tensor[];
  /** Of the output's size: quoted at the first bad number. */
  readonly given?: Tensor;
  /** What is bad in the output. Default NaN alone. */
  readonly bad?: Bad;
  /** It is named only where a gradient went wrong, as the reason for that: a derivative, say. */
  readonly only?: "backward";
  /** @param index of the first bad number, @param given there, NaN without `given` */
  readonly tell: (index: number, given: number) => Finding;
}

interface Entry {
  readonly suspect: Pick<Suspect, "tell" | "only">;
  readonly backward: boolean;
  /** Slots that were searched: of the output, and of the inputs. */
  readonly output: number;
  readonly inputs: readonly number[];
  /** Says where NaN came from, when it was in an input already. */
  readonly arrived: (input: number, index: number) => Finding;
  /** Its stack shows who called. */
  readonly call: Error;
}

const PAGE = 1024;
const NOTHING = 0xffffffff;

interface Page {
  readonly found: Tensor;
  readonly quoted: Tensor;
}

/** Whether a tensor holds numbers that can be bad. */
const isReal = ({ dtype, size }: Tensor): boolean => size > 0 && (dtype === "f32" || dtype === "f16");

/** The multi-index of a flat one. */
export function indexIn(shape: readonly number[], flat: number): number[] {
  let rest = flat;
  return [...shape].reverse().map((n) => {
    const at = rest % n;
    rest = Math.floor(rest / n);
    return at;
  }).reverse();
}

const nameOf = (name: OperatorName): string => (typeof name === "string" ? name : name());
const at = ({ shape }: { readonly shape: readonly number[] }, index: number): string => `at ${showShape(indexIn(shape, index))} of shape ${showShape(shape)}`;

/**
 * Looks at every operator while `Engine.detectAnomaly` runs. Nothing waits: kernels note where bad numbers are, and `check`
 * reads the notes.
 */
export class AnomalyWatch {
  readonly #engine: Engine;
  #pages: Page[] = [];
  #entries: Entry[] = [];
  #slots = 0;
  #paused = false;
  /** What the operators at hand are part of, innermost last. */
  readonly #within: string[] = [];
  #backward = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** See `Engine.detectAnomaly`; `stop` takes the watch off the engine. */
  async run<T>(work: () => T | Promise<T>, stop: () => void): Promise<T> {
    let result: T;
    try {
      result = await work();
    } catch (error) {
      // What NaN leads to says less than where it came from.
      throw (await this.check()) ?? error;
    } finally {
      stop();
    }
    const found = await this.check();
    if (found !== undefined) throw found;
    return result;
  }

  /** An operator of the forward pass, or one that a backward pass uses. */
  observe(name: OperatorName, outputs: readonly Tensor[], inputs: readonly Tensor[]): void {
    const where = [...this.#within].reverse().map((part) => `, in ${part}`).join("");
    for (const output of outputs) {
      const { shape } = output;
      this.suspect({
        output,
        inputs,
        tell: (index) => ({
          message: `${quoted(nameOf(name))} made NaN out of clean inputs, first ${at({ shape }, index)}${where}`,
          fix: "look at what it is given; the error's cause shows the call",
        }),
      }, nameOf(name));
    }
  }

  /** Runs the vector-Jacobian product of an operator. */
  backward(name: OperatorName, inputs: readonly Tensor[], run: () => readonly (Tensor | undefined)[]): readonly (Tensor | undefined)[] {
    this.#backward++;
    try {
      const gradients = this.within(`the backward pass of ${quoted(nameOf(name))}`, run);
      gradients.forEach((output, i) => {
        if (output === undefined) return;
        const { shape } = output;
        this.suspect({
          output,
          inputs,
          tell: (index) => ({
            message: `the backward pass of ${quoted(nameOf(name))} made NaN out of a clean gradient, in that of its input ${i}, first ${at({ shape }, index)}`,
            fix: "look for a slope that is infinite or undefined at the operator's inputs, such as that of a root or a quotient at 0",
          }),
        }, nameOf(name));
      });
      return gradients;
    } finally {
      this.#backward--;
    }
  }

  /** Runs `work`, which messages call `part`. */
  within<T>(part: string, work: () => T): T {
    this.#within.push(part);
    try {
      return work();
    } finally {
      this.#within.pop();
    }
  }

  /** Watches one computation. `what` names it where bad numbers were in its inputs already. */
  suspect({ output, inputs, given, bad = "nan", only, tell }: Suspect, what: string): void {
    if (this.#paused || !isReal(output)) return;
    // A view shows what is there, and makes nothing.
    if (inputs.some((input) => input.storage === output.storage)) return;
    const real = inputs.filter(isReal);
    const shapes = real.map(({ shape }) => shape);
    const call = new Error(`${what} was called here`);
    this.#enter(() => {
      const slot = this.#search(output, bad);
      if (given !== undefined) this.#quote(given, slot);
      this.#entries.push({
        suspect: { tell, ...(only && { only }) },
        backward: this.#backward > 0,
        output: slot,
        inputs: real.map((input) => this.#search(input, "nan")),
        arrived: (input, index) => ({
          message: `${quoted(what)} was given NaN that no operator made, first ${at({ shape: shapes[input] ?? [] }, index)}`,
          fix: "look at the numbers that were uploaded, and at memory that is written outside of the tape",
        }),
        call,
      });
    });
  }

  /** Reads the notes taken so far and forgets them: the error that names the first culprit, or undefined. */
  async check(): Promise<TensorError | undefined> {
    const entries = this.#entries;
    const pages = this.#pages;
    const slots = this.#slots;
    [this.#entries, this.#pages, this.#slots] = [[], [], 0];
    if (slots === 0) return undefined;
    // This may run while others compute: nothing here may be observed.
    const { gpu } = this.#engine;
    const found: number[] = [];
    const quotes: number[] = [];
    for (const page of pages) {
      found.push(...(await gpu.read(page.found.slice(), Uint32Array)));
      quotes.push(...(await gpu.read(page.quoted.slice(), Float32Array)));
      page.found.dispose();
      page.quoted.dispose();
    }
    const bad = (slot: number): boolean => found[slot] !== NOTHING;
    const guilty = (entry: Entry): boolean => bad(entry.output) && !entry.inputs.some(bad);
    const tell = ({ suspect, output, call }: Entry): TensorError => anomaly(suspect.tell(found[output]!, quotes[output]!), call);

    const first = entries.find((entry) => entry.suspect.only === undefined && guilty(entry));
    if (first !== undefined) {
      const reason = first.backward ? entries.find((entry) => entry.suspect.only === "backward" && guilty(entry)) : undefined;
      return tell(reason ?? first);
    }
    const passed = entries.find((entry) => entry.suspect.only === undefined && bad(entry.output));
    if (passed === undefined) return undefined;
    const input = passed.inputs.findIndex(bad);
    return anomaly(passed.arrived(input, found[passed.inputs[input]!]!), passed.call);
  }

  /** Runs `work` without looking at its operators. */
  unwatched<T>(work: () => T): T {
    const before = this.#paused;
    this.#paused = true;
    try {
      return work();
    } finally {
      this.#paused = before;
    }
  }

  /** The kernels that looking takes are not looked at. */
  #enter(work: () => void): void {
    this.unwatched(() => { this.#engine.noGrad(() => { this.#engine.scope(work); }); });
  }

  #search(x: Tensor, bad: Bad): number {
    const slot = this.#slots++;
    const page = (this.#pages[Math.floor(slot / PAGE)] ??= this.#newPage());
    findFirstBad(contiguous(x), bad, page.found, slot % PAGE);
    return slot;
  }

  #quote(given: Tensor, slot: number): void {
    const { found, quoted: quotes } = this.#pages[Math.floor(slot / PAGE)]!;
    quoteNumber(contiguous(given), found, quotes, slot % PAGE);
  }

  #newPage(): Page {
    const engine = this.#engine;
    return { found: engine.keep(engine.full([PAGE], NOTHING, "u32")), quoted: engine.keep(engine.zeros([PAGE])) };
  }
}

const quoted = (name: string): string => `'${name}'`;

function anomaly({ message, fix }: Finding, cause: Error): TensorError {
  return new TensorError("TENSOR_ANOMALY", message, fix, { cause });
}
