import { UnsupportedCase } from "../../unsupported.ts";
import { elementType, kindOf, numberOf, rounded, type ElementType } from "./element.ts";

/** A tensor that a subgraph carries with it. */
export interface Stored {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly numbers: Float64Array;
}

export interface GraphNode {
  readonly op: string;
  /** Names; empty where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** An ONNX graph of one input and one output, as the index spells it. */
export interface Subgraph {
  readonly input: { readonly name: string; readonly type: ElementType };
  readonly output: string;
  readonly initializers: ReadonlyMap<string, Stored>;
  /** In an order in which every input is known when it is read, as ONNX demands. */
  readonly nodes: readonly GraphNode[];
}

type JsonRecord = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is JsonRecord => typeof value === "object" && value !== null && !Array.isArray(value);
const isNames = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((name) => typeof name === "string");

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** `{ dtype, shape, data }`, as initializers and the attributes of constants are spelt. @throws UnsupportedCase */
export function storedTensor(given: unknown, what: string): Stored {
  if (!isRecord(given) || !Array.isArray(given["shape"]) || !Array.isArray(given["data"])) throw new UnsupportedCase(`${what} is no tensor of dtype, shape and data`);
  const type = elementType(given["dtype"]);
  const shape = given["shape"].map(numberOf);
  // The largest int64, by which slices say "to the end", is no exact number here: it is refused where it is computed with.
  const numbers = Float64Array.from(given["data"], (x: unknown) => (kindOf(type) === "int" ? numberOf(x) : rounded(type, numberOf(x))));
  if (numbers.length !== product(shape)) throw new UnsupportedCase(`${what} has ${numbers.length} numbers for shape [${shape.join(", ")}]`);
  return { type, shape, numbers };
}

/** The one value that a graph takes or gives: four axes. */
function only(listed: unknown, what: string): { readonly name: string; readonly type: ElementType } {
  const [one, ...more] = Array.isArray(listed) ? (listed as unknown[]) : [];
  if (!isRecord(one) || more.length > 0 || typeof one["name"] !== "string") throw new UnsupportedCase(`${what} other than one tensor`);
  if (Array.isArray(one["shape"]) && one["shape"].length !== 4) throw new UnsupportedCase(`${what} of shape [${one["shape"].join(", ")}]; expected 4 axes`);
  return { name: one["name"], type: elementType(one["dtype"]) };
}

/** A subgraph attribute. @throws UnsupportedCase saying what of it is not as expected. */
export function subgraph(given: unknown, what: string): Subgraph {
  if (!isRecord(given) || !Array.isArray(given["nodes"])) throw new UnsupportedCase(`${what} is no graph`);
  const nodes = given["nodes"].map((node: unknown): GraphNode => {
    if (!isRecord(node) || typeof node["op"] !== "string" || !isNames(node["inputs"]) || !isNames(node["outputs"])) throw new UnsupportedCase(`a node of ${what} without op, inputs and outputs`);
    const domain = node["domain"] ?? "";
    if (domain !== "" && domain !== "ai.onnx") throw new UnsupportedCase(`operator ${node["op"]} of domain ${JSON.stringify(domain)}`);
    return { op: node["op"], inputs: node["inputs"], outputs: node["outputs"], attributes: isRecord(node["attributes"]) ? node["attributes"] : {} };
  });
  const initializers = Array.isArray(given["initializers"]) ? (given["initializers"] as unknown[]) : [];
  const named = initializers.map((one): [string, Stored] => {
    if (!isRecord(one) || typeof one["name"] !== "string") throw new UnsupportedCase(`an initializer of ${what} without a name`);
    return [one["name"], storedTensor(one, `initializer '${one["name"]}'`)];
  });
  return { input: only(given["inputs"], `the inputs of ${what}`), output: only(given["outputs"], `the outputs of ${what}`).name, initializers: new Map(named), nodes };
}
