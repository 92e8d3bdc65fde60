import { linearIndex, type Capture } from "@polyhead/core";
import type { BindingSpec, ParamType } from "@polyhead/gpu";

/**
 * How the score kernels find the tables that hooks and mask read. Two bindings hold them all, one after the other by
 * type, so that any number of hooks stays within the eight storage buffers that WebGPU guarantees. 0-d captures are
 * scalars of the dispatch, unless they are learned.
 */
export interface TableLayout {
  readonly floats: readonly Capture[];
  readonly ints: readonly Capture[];
  readonly scalars: readonly Capture[];
  /** Bindings, params and functions of a kernel that reads them. */
  readonly bindings: Readonly<Record<string, BindingSpec>>;
  readonly params: Readonly<Record<string, ParamType>>;
  readonly functions: string;
  /** For `emitWgsl`. */
  readonly read: (capture: Capture, index: readonly string[]) => string;
}

export const elementsOf = ({ shape }: Capture): number => shape.reduce((product, n) => product * n, 1);

/** Where each capture starts when they are laid end to end. */
export function offsetsOf(captures: readonly Capture[]): ReadonlyMap<Capture, number> {
  let end = 0;
  return new Map(captures.map((capture) => [capture, (end += elementsOf(capture)) - elementsOf(capture)]));
}

export const scalarName = (n: number): string => `scalar${n}`;

export function tableLayout(captures: readonly Capture[]): TableLayout {
  const isScalar = ({ shape, learned }: Capture): boolean => shape.length === 0 && !learned;
  const scalars = captures.filter(isScalar);
  const floats = captures.filter((c) => !isScalar(c) && c.type === "f32");
  const ints = captures.filter((c) => !isScalar(c) && c.type === "i32");
  const tables = [...floats, ...ints];
  const offsets = new Map([...offsetsOf(floats), ...offsetsOf(ints)]);
  return {
    floats,
    ints,
    scalars,
    bindings: { ...(floats.length > 0 && { floats: "read array<f32>" as const }), ...(ints.length > 0 && { ints: "read array<i32>" as const }) },
    params: Object.fromEntries(scalars.map(({ type }, n) => [scalarName(n), type])),
    functions: tables.map((capture, n) => loader(capture, n, offsets.get(capture) ?? 0)).join("\n"),
    read: (capture, index) => (isScalar(capture) ? `params.${scalarName(scalars.indexOf(capture))}` : `table${tables.indexOf(capture)}(${index.join(", ")})`),
  };
}

/** An index outside of its table reads NaN (for integers the smallest one): loud, and harmless in a branch not taken. */
function loader({ shape, type }: Capture, n: number, offset: number): string {
  const index = shape.map((_, axis) => `i${axis}`);
  const outside = shape.map((extent, axis) => `i${axis} < 0i || i${axis} >= ${extent}i`).join(" || ");
  // Or-ing the index in keeps compilers from seeing a constant NaN, which WGSL forbids.
  const loud = type === "f32" ? "bitcast<f32>(0x7fc00000u | (u32(i0) & 1u))" : "(-2147483647i - 1i)";
  return `fn table${n}(${index.map((name) => `${name}: i32`).join(", ")}) -> ${type} {
${shape.length > 0 ? `  if (${outside}) { return ${loud}; }` : ""}
  return ${type === "f32" ? "floats" : "ints"}[${offset}u + ${linearIndex(shape, index)}];
}`;
}
