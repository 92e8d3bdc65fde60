import { Builder } from "./builder.ts";
import { ExprError } from "./errors.ts";
import type { Expr, NumberLike } from "./expr.ts";

/** Where a capture's numbers live. Float64Array keeps full precision for the oracle; on the GPU it is f32. */
export type CaptureData = Float32Array | Float64Array | Int32Array;

/**
 * A table that an expression reads: slopes by head, document numbers by position, a learned bias.
 * Its identity is the object itself, never its name. A 0-d capture is a scalar that may change without recompiling.
 */
export interface Capture {
  readonly kind: "capture";
  readonly name: string;
  /** Row-major extents; empty for a scalar. */
  readonly shape: readonly number[];
  /** The type of an element as expressions see it. */
  readonly type: "f32" | "i32";
  /** Its numbers; empty for a {@link placeholder}, whose numbers come with each call. */
  readonly data: CaptureData;
  /** Whether training changes it, so that it wants a gradient. */
  readonly learned: boolean;
  /** Rises each time the data changes through `set`, so that a holder of an uploaded copy can tell it is stale. */
  readonly version: number;
  /** The element at these indices, one i32 expression or whole number an axis. */
  at(...index: NumberLike[]): Expr<"f32" | "i32">;
  /** Replaces the data; the length must match. */
  set(data: ArrayLike<number>): void;
}

/** A 0-d capture whose value may be assigned. */
export interface ScalarCapture extends Capture {
  value: number;
}

/** Options of {@link capture} and {@link scalar}. */
export interface CaptureOptions {
  /** For messages and generated code; two captures may share one. */
  readonly name?: string;
  readonly learned?: boolean;
}

/**
 * Captures a table for use in expressions: `${table}[h, q]` in a template, `table.at(h, q)` in the builder.
 * Float data reads as f32, an Int32Array as i32. `shape` defaults to one axis of the data's length.
 *
 * @throws ExprError `EXPR_CAPTURE` when the shape does not hold exactly the data, or integers are to be learned.
 */
export function capture(data: CaptureData, shape: readonly number[] = [data.length], options: CaptureOptions = {}): Capture {
  return Object.freeze(build(data, shape, options));
}

/**
 * A 0-d f32 capture: a number that changes often (a temperature, a cap) without changing the program's key.
 * Assign `.value` to change it.
 */
export function scalar(value: number, options: CaptureOptions = {}): ScalarCapture {
  const base = build(Float64Array.of(value), [], options);
  const accessor: PropertyDescriptorMap & ThisType<Capture> = {
    value: {
      get: (): number => base.data[0] ?? NaN,
      set: (next: number): void => {
        base.set([next]);
      },
      enumerable: true,
    },
  };
  return Object.freeze(Object.defineProperties(base, accessor)) as ScalarCapture;
}

/** Options of {@link placeholder}. */
export interface PlaceholderOptions {
  /** For messages and generated code. */
  readonly name: string;
  /** Of an element. An f32 placeholder is learned, an i32 one is not. Default f32. */
  readonly type?: "f32" | "i32";
}

/**
 * A capture without numbers of its own: a tensor is bound to it at each call, such as a bias that somebody else trains.
 * Its `data` is empty; {@link evaluate} takes its numbers as a binding.
 *
 * @throws ExprError `EXPR_CAPTURE` when the shape is not made of positive whole extents.
 */
export function placeholder(shape: readonly number[], { name, type = "f32" }: PlaceholderOptions): Capture {
  const data = type === "i32" ? new Int32Array(0) : new Float32Array(0);
  return Object.freeze(assemble(data, extentsOf(name, shape), { name, learned: type === "f32" }));
}

/** Whether a capture is a {@link placeholder}: a table always has an element. */
export function isPlaceholder({ data }: Capture): boolean {
  return data.length === 0;
}

/** Numbers for captures, row by row, in place of their own: what a call binds. */
export type Bindings = ReadonlyMap<Capture, ArrayLike<number>>;

/**
 * The numbers that a call reads: those bound, else the capture's own.
 *
 * @throws ExprError `EXPR_CAPTURE` when another count is bound than the shape holds.
 */
export function numbersOf(capture: Capture, bindings: Bindings | undefined): ArrayLike<number> {
  const bound = bindings?.get(capture);
  if (bound === undefined) return capture.data;
  const wanted = elementsOf(capture.shape);
  if (bound.length === wanted) return bound;
  throw new ExprError("EXPR_CAPTURE", `capture '${capture.name}' of shape [${capture.shape.join(", ")}] was bound to ${bound.length} numbers; expected ${wanted}`, "bind the row-major numbers of that shape");
}

/** The error for numbers of a placeholder that nobody bound. */
export function unbound({ name, shape }: Capture): ExprError {
  return new ExprError("EXPR_CAPTURE", `placeholder '${name}' of shape [${shape.join(", ")}] has no numbers and none are bound`, "pass new Map([[placeholder, numbers]]) as bindings, or bind a tensor where it is called");
}

/** Whether a value is a capture, by shape rather than by class. */
export function isCapture(value: unknown): value is Capture {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "capture";
}

function build(data: CaptureData, shape: readonly number[], options: CaptureOptions): Capture {
  const { name = "capture", learned = false } = options;
  if (elementsOf(extentsOf(name, shape)) !== data.length) {
    throw new ExprError("EXPR_CAPTURE", `capture '${name}' has shape [${shape.join(", ")}] and ${data.length} numbers; expected extents whose product is the count`, "give the row-major shape of the data");
  }
  if (learned && data instanceof Int32Array) {
    throw new ExprError("EXPR_CAPTURE", `capture '${name}' is learned and holds integers; a gradient needs f32`, "capture a Float32Array, or drop learned");
  }
  return assemble(data, shape, { name, learned });
}

function assemble(data: CaptureData, shape: readonly number[], { name, learned }: Required<CaptureOptions>): Capture {
  let version = 0;
  const self: Capture = {
    kind: "capture",
    name,
    shape: Object.freeze([...shape]),
    type: data instanceof Int32Array ? "i32" : "f32",
    data,
    learned,
    get version() {
      return version;
    },
    at: (...index) => Builder.of(index).load(self, index),
    set: (next) => {
      if (data.length === 0) throw unbound(self);
      if (next.length !== data.length) {
        throw new ExprError("EXPR_CAPTURE", `capture '${name}' was given ${next.length} numbers; expected ${data.length}`, "keep the length, or capture a new table");
      }
      data.set(next);
      version++;
    },
  };
  return self;
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function extentsOf(name: string, shape: readonly number[]): readonly number[] {
  if (shape.every((extent) => Number.isInteger(extent) && extent > 0)) return shape;
  throw new ExprError("EXPR_CAPTURE", `capture '${name}' has shape [${shape.join(", ")}]; expected positive whole extents`, "give the row-major shape of the data");
}
