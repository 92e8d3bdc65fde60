import { UnsupportedCase } from "../../unsupported.ts";

/** How a subgraph's numbers behave: floats round, integers are exact, truth values are 0 and 1. */
export type Kind = "float" | "int" | "bool";

/** ONNX's element types, by the names that the index and `Cast` have for them. */
interface Element {
  readonly kind: Kind;
  /** TensorProto.DataType. */
  readonly code: number;
  /** Least and largest number of an integer type. */
  readonly range?: readonly [number, number];
}

const bits = (n: number): readonly [number, number] => [-(2 ** (n - 1)), 2 ** (n - 1) - 1];

const ELEMENTS = {
  F32: { kind: "float", code: 1 },
  U8: { kind: "int", code: 2, range: [0, 2 ** 8 - 1] },
  I8: { kind: "int", code: 3, range: bits(8) },
  U16: { kind: "int", code: 4, range: [0, 2 ** 16 - 1] },
  I16: { kind: "int", code: 5, range: bits(16) },
  I32: { kind: "int", code: 6, range: bits(32) },
  I64: { kind: "int", code: 7, range: [-(2 ** 53), 2 ** 53] },
  BOOL: { kind: "bool", code: 9 },
  F16: { kind: "float", code: 10 },
  F64: { kind: "float", code: 11 },
  U32: { kind: "int", code: 12, range: [0, 2 ** 32 - 1] },
  BF16: { kind: "float", code: 16 },
} as const satisfies Readonly<Record<string, Element>>;

export type ElementType = keyof typeof ELEMENTS;

export const kindOf = (type: ElementType): Kind => ELEMENTS[type].kind;

/** @throws UnsupportedCase for a type that we do not know. */
export function elementType(name: unknown): ElementType {
  if (typeof name === "string" && Object.hasOwn(ELEMENTS, name)) return name as ElementType;
  throw new UnsupportedCase(`element type ${JSON.stringify(name)}`);
}

/** The type behind `Cast`'s attribute `to`. @throws UnsupportedCase */
export function elementOfCode(code: unknown): ElementType {
  const found = (Object.keys(ELEMENTS) as ElementType[]).find((name) => ELEMENTS[name].code === code);
  return found ?? elementType(code);
}

/** Of two types of one kind, the one that holds both: our scores are f32 whatever a subgraph declares. */
export function widerOf(a: ElementType, b: ElementType): ElementType {
  const order: readonly ElementType[] = ["F64", "F32", "BF16", "F16", "I64", "U32", "I32", "U16", "I16", "U8", "I8", "BOOL"];
  return order.find((type) => type === a || type === b) ?? a;
}

/**
 * A number as `type` holds it. Halves are computed as f32: that is what a kernel does with them.
 *
 * @throws UnsupportedCase for an integer that wraps: what it wraps to is left open by ONNX.
 */
export function rounded(type: ElementType, value: number): number {
  const { kind, range } = ELEMENTS[type] as Element;
  if (kind === "float") return type === "F64" ? value : Math.fround(value);
  if (kind === "bool") return value === 0 ? 0 : 1;
  if (Number.isSafeInteger(value) && value >= range![0] && value <= range![1]) return value;
  throw new UnsupportedCase(`the number ${value} in a tensor of ${type}`);
}

/** JSON has no infinity, so the index spells it; truth values may be words. */
export function numberOf(stored: unknown): number {
  if (typeof stored === "number") return stored;
  if (typeof stored === "boolean") return Number(stored);
  if (stored === "Infinity" || stored === "-Infinity" || stored === "NaN") return Number(stored);
  throw new UnsupportedCase(`${JSON.stringify(stored)} among the numbers of a subgraph`);
}
