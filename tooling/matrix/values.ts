import type { Capture, Hook, ParamSpec } from "@polyhead/core";
import { uniform } from "@polyhead/testkit";
import type { Assembled } from "./combination.ts";
import { SIZES } from "./sizes.ts";

/** Everything that a layer computes with and learns, by name. */
export interface Value {
  readonly shape: readonly number[];
  /** Multiples of 2⁻¹², so that f32 holds them, and what lies a step of a difference beside them. */
  readonly data: Float64Array;
  readonly trainable: boolean;
}

export type Values = Readonly<Record<string, Value>>;

/** The grid of learned numbers. */
export const STEP: number = 2 ** -12;

/** Away from where parameters start: a gain of 1 or a table of zeros would hide mistakes. */
function shaken({ shape, init, trainable = true }: ParamSpec, seed: number): Value {
  const size = shape.reduce((product, n) => product * n, 1);
  const start = init === "zeros" ? [] : init === "ones" ? new Float32Array(size).fill(1) : init.kind === "values" ? init.data : [];
  const noise = uniform(size, seed);
  const amount = typeof init === "object" && init.kind === "values" ? 0.1 : 0.4;
  const data = Float64Array.from(noise, (x, i) => (trainable ? Math.round(((start[i] ?? 0) + amount * x) / STEP) * STEP : Math.fround(start[i] ?? 0)));
  return { shape, data, trainable };
}

export const hookKey = (hook: Hook, name: string): string => `position.${hook.id}.${name}`;

/**
 * The numbers of a layer: x, the norm's and the projections' parameters, and what its hooks learn. Learned captures are set to
 * them, since the float64 reference reads captures.
 */
export function valuesOf({ parts }: Assembled): Values {
  const { batch, rows, width } = SIZES;
  const values: Record<string, Value> = { x: { shape: [batch, rows, width], data: Float64Array.from(uniform(batch * rows * width, 1)), trainable: true } };
  let seed = 2;
  for (const [prefix, specs] of [["norm", parts.norm.params], ["attention", parts.attention.params]] as const) {
    for (const [name, spec] of Object.entries(specs)) values[`${prefix}.${name}`] = shaken(spec, seed++);
  }
  for (const hook of parts.position.hooks) {
    const learned = new Map(capturesOf(hook).map((capture) => [capture.name, capture]));
    for (const [name, spec] of Object.entries<ParamSpec>(hook.params)) {
      const value = shaken(spec, seed++);
      values[hookKey(hook, name)] = value;
      learned.get(name)?.set(value.data);
    }
  }
  return values;
}

/** The captures that a hook learns: those its program reads, or rows whose products with the queries it reads. */
export function capturesOf(hook: Hook): readonly Capture[] {
  if (hook.site === "score" && hook.queries !== undefined) return [hook.queries.rows];
  return "program" in hook ? hook.program.captures.filter(({ learned }) => learned) : [];
}
