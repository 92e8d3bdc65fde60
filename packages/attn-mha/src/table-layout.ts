import type { Capture } from "@polyhead/core";
import type { BindingSpec, ParamType } from "@polyhead/gpu";
import { tableLoader } from "@polyhead/tensor";

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
    functions: tables.map((capture, n) => tableLoader(capture, { name: `table${n}`, array: capture.type === "f32" ? "floats" : "ints", offset: offsets.get(capture) ?? 0 })).join("\n"),
    read: (capture, index) => (isScalar(capture) ? `params.${scalarName(scalars.indexOf(capture))}` : `table${tables.indexOf(capture)}(${index.join(", ")})`),
  };
}
