/** The scalar types of the language. `f32` is evaluated in float64 by the oracle and in f32 on the GPU. */
export type ScalarType = "f32" | "i32" | "bool";

/** How an operator is typed: what it takes and what it gives. */
type Signature =
  | "number" // all numbers, brought to one type, which is also the result's
  | "float" // all brought to f32, gives f32
  | "integer" // all i32, gives i32
  | "compare" // all numbers, brought to one type, gives bool
  | "equal" // two of one type, bool included, gives bool
  | "logic" // all bool, gives bool
  | "select" // bool and two of one type, which is also the result's
  | "convert"; // one of any type, gives the operator's own name

interface OpShape {
  readonly arity: 1 | 2 | 3;
  readonly takes: Signature;
}

/** An operator's name. */
export type OpName =
  | "add"
  | "sub"
  | "mul"
  | "min"
  | "max"
  | "neg"
  | "abs"
  | "sign"
  | "div"
  | "pow"
  | "exp"
  | "exp2"
  | "log"
  | "log2"
  | "sqrt"
  | "rsqrt"
  | "tanh"
  | "sigmoid"
  | "erf"
  | "sin"
  | "cos"
  | "floor"
  | "ceil"
  | "round"
  | "idiv"
  | "mod"
  | "lt"
  | "le"
  | "eq"
  | "and"
  | "or"
  | "not"
  | "select"
  | "f32"
  | "i32";

type OpTable = Readonly<Record<OpName, OpShape>>;

/** Every operator. Each reading (value, WGSL, derivative, …) is a table that the compiler checks against this one. */
export const OPS: OpTable = {
  add: { arity: 2, takes: "number" },
  sub: { arity: 2, takes: "number" },
  mul: { arity: 2, takes: "number" },
  min: { arity: 2, takes: "number" },
  max: { arity: 2, takes: "number" },
  neg: { arity: 1, takes: "number" },
  abs: { arity: 1, takes: "number" },
  sign: { arity: 1, takes: "number" },
  div: { arity: 2, takes: "float" },
  pow: { arity: 2, takes: "float" },
  exp: { arity: 1, takes: "float" },
  exp2: { arity: 1, takes: "float" },
  log: { arity: 1, takes: "float" },
  log2: { arity: 1, takes: "float" },
  sqrt: { arity: 1, takes: "float" },
  rsqrt: { arity: 1, takes: "float" },
  tanh: { arity: 1, takes: "float" },
  sigmoid: { arity: 1, takes: "float" },
  erf: { arity: 1, takes: "float" },
  sin: { arity: 1, takes: "float" },
  cos: { arity: 1, takes: "float" },
  floor: { arity: 1, takes: "float" },
  ceil: { arity: 1, takes: "float" },
  round: { arity: 1, takes: "float" },
  idiv: { arity: 2, takes: "integer" },
  mod: { arity: 2, takes: "integer" },
  lt: { arity: 2, takes: "compare" },
  le: { arity: 2, takes: "compare" },
  eq: { arity: 2, takes: "equal" },
  and: { arity: 2, takes: "logic" },
  or: { arity: 2, takes: "logic" },
  not: { arity: 1, takes: "logic" },
  select: { arity: 3, takes: "select" },
  f32: { arity: 1, takes: "convert" },
  i32: { arity: 1, takes: "convert" },
};

/** What a node may be: a leaf or an operator. */
export type NodeKind = OpName | "const" | "var" | "load";
