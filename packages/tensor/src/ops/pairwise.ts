import { derivative, formula, variablesOf, type Capture, type NumberExpr, type Program } from "@polyhead/expr";
import { flatGrid, type BufferSlice, type Scalar } from "@polyhead/gpu";
import { captureArguments, scalarValues } from "../captures.ts";
import { shapeError, showShape, TensorError } from "../errors.ts";
import { pairwiseKernel, type PairwiseSpec } from "../kernels/pairwise.ts";
import { attach } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { cast } from "./cast.ts";
import { contiguous } from "../views.ts";

export interface PairwiseOptions {
  /** `half`: pair i holds elements i and i + rotaryDim/2; `interleaved`: elements 2i and 2i + 1. */
  readonly layout: "half" | "interleaved";
  /** Even, at most D; elements from here on pass unchanged. Default D. */
  readonly rotaryDim?: number;
  /**
   * Global positions of the rows: row t at `offset + t`, or an i32 or u32 tensor that broadcasts to [B, T]. A live offset is
   * read anew by every replay. Default `{ offset: 0 }`.
   */
  readonly positions?: { readonly offset: Scalar } | Tensor;
  /** Tensors to read instead of a capture's own numbers, by the capture's name. */
  readonly captures?: Readonly<Record<string, Tensor>>;
}

/**
 * Turns pairs of head vectors by `program`, `(x0, x1, position, pair, head) → [f32, f32]`: rotary encodings before attention.
 * Its gradient by x is the program's symbolic derivative, in one kernel.
 *
 * @param x  [B, H, T, D], any strides
 * @param program  made with `pairMod`; captured tables are uploaded once
 * @returns [B, H, T, D], row-major
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`, `TENSOR_VALUE`; `TENSOR_GRAPH` where a learned capture would need a gradient.
 */
export function pairwise(x: Tensor, program: Program, options: PairwiseOptions): Tensor {
  const { engine } = x;
  const { layout, rotaryDim = x.shape[3] ?? 0, captures = {} } = options;
  check(x, program, rotaryDim);
  const positions = options.positions ?? { offset: 0 };
  return engine.scope(() => {
    const rows = "offset" in positions && !("dtype" in positions) ? undefined : positionRows(positions as Tensor, x);
    const offset = rows === undefined ? (positions).offset : 0;
    const scalars = scalarValues(engine, program.captures);
    const bound = Object.entries(captures);
    const run = (which: Program, sources: PairwiseSpec["sources"], tensors: readonly Tensor[], at: Tensor | undefined, tables: Readonly<Record<string, Tensor>>): Tensor =>
      dispatch({ program: which, sources, layout, hasPositions: at !== undefined }, tensors, { rotaryDim, offset, positions: at, tables, scalars });
    const y = run(program, [["x0", "x1"]], [x], rows, captures);
    engine.anomalies?.observe("pairwise", [y], [x, ...Object.values(captures)]);
    if (!engine.gradEnabled || ![x, ...Object.values(captures)].some((input) => input.requiresGrad)) return y;
    const learned = program.captures.find((capture) => capture.learned || (Object.hasOwn(captures, capture.name) && captures[capture.name]!.requiresGrad));
    if (learned !== undefined) throw new TensorError("TENSOR_GRAPH", `pairwise() does not carry a gradient to the learned capture '${learned.name}'`, "freeze the table, or write the rotation with map() and the table as a tensor");
    const { program: back, needsX } = pullback(program);
    return attach(y, {
      name: "pairwise",
      inputs: [x],
      saves: [...(needsX ? [x] : []), ...(rows === undefined ? [] : [rows]), ...bound.map(([, tensor]) => tensor)],
      backward: (g, saved) => {
        const kept = [...saved];
        const sources = needsX ? [g, kept.shift()!] : [g];
        const at = rows === undefined ? undefined : kept.shift();
        const tables = Object.fromEntries(bound.map(([name], i) => [name, kept[i]!]));
        return [run(back, needsX ? [["g0", "g1"], ["x0", "x1"]] : [["g0", "g1"]], sources, at, tables)];
      },
    });
  });
}

/**
 * The gradient of `pairwise(x, program, options)` by x, from that of its result: for kernels that turn rows as they read them.
 *
 * @param g  [B, H, T, D] f32
 * @param x  [B, H, T, D]; its numbers are read only where the derivative depends on them
 */
export function pairwiseGradient(g: Tensor, x: Tensor, program: Program, options: PairwiseOptions): Tensor {
  const { engine } = g;
  const { layout, rotaryDim = g.shape[3] ?? 0, captures = {}, positions = { offset: 0 } } = options;
  check(g, program, rotaryDim);
  return engine.noGrad(() =>
    engine.scope(() => {
      const rows = positions instanceof Tensor ? positionRows(positions, g) : undefined;
      const { program: back, needsX } = pullback(program);
      const sources = needsX ? [g, cast(x, "f32")] : [g];
      const spec: PairwiseSpec = { program: back, sources: needsX ? [["g0", "g1"], ["x0", "x1"]] : [["g0", "g1"]], layout, hasPositions: rows !== undefined };
      return dispatch(spec, sources, { rotaryDim, offset: positions instanceof Tensor ? 0 : positions.offset, positions: rows, tables: captures, scalars: scalarValues(engine, program.captures) });
    }),
  );
}

interface Setting {
  readonly rotaryDim: number;
  readonly offset: Scalar;
  readonly positions: Tensor | undefined;
  readonly tables: Readonly<Record<string, Tensor>>;
  readonly scalars: ReadonlyMap<Capture, Scalar>;
}

function dispatch(spec: PairwiseSpec, sources: readonly Tensor[], { rotaryDim, offset, positions, tables, scalars }: Setting): Tensor {
  const [first] = sources as [Tensor];
  const { engine, shape } = first;
  const [batch, heads, length, width] = shape as [number, number, number, number];
  const y = engine.empty(shape);
  if (y.size === 0) return y;
  const pairs = rotaryDim / 2;
  const items = width - pairs;
  const count = batch * heads * length * items;
  const params: Record<string, Scalar> = { count, items, pairs, heads, length, width, offset };
  const bindings: Record<string, BufferSlice> = { y: y.slice() };
  sources.forEach((source, k) => {
    bindings[`s${k}`] = source.all();
    params[`s${k}_start`] = source.offset;
    ["b", "h", "t", "d"].forEach((axis, i) => (params[`s${k}_${axis}`] = source.strides[i]!));
  });
  if (positions !== undefined) bindings["positions"] = positions.slice();
  const captures = captureArguments(engine, spec.program.captures, { bound: tables, scalars });
  engine.gpu.dispatch(pairwiseKernel(spec), { ...bindings, ...captures.bindings }, { ...params, ...captures.params }, flatGrid(count, 64));
  return y;
}

const VARIABLES: readonly string[] = ["x0", "x1", "position", "pair", "head"];

function check(x: Tensor, program: Program, rotaryDim: number): void {
  if (x.rank !== 4) shapeError(`pairwise() of a tensor of shape ${showShape(x.shape)}`, "give [batch, heads, length, head size]");
  if (x.dtype !== "f32") throw new TensorError("TENSOR_DTYPE", `pairwise() of a tensor of ${x.dtype}`, "cast it to f32 first");
  const width = x.shape[3]!;
  if (!Number.isInteger(rotaryDim) || rotaryDim < 0 || rotaryDim % 2 !== 0 || rotaryDim > width) throw new TensorError("TENSOR_VALUE", `rotaryDim ${rotaryDim} for heads of ${width} elements`, "give an even number, at most the head size");
  const given = Object.keys(program.vars);
  if (program.outputs.length !== 2 || !["x0", "x1"].every((name) => given.includes(name)) || !given.every((name) => VARIABLES.includes(name))) {
    throw new TensorError("TENSOR_VALUE", `pairwise() of a program from ${given.join(", ")} to ${program.outputs.length} outputs`, "make it with pairMod: x0, x1, position, pair, head to two numbers");
  }
}

/** Positions as [B, T], ready to bind. */
function positionRows(positions: Tensor, x: Tensor): Tensor {
  if (positions.dtype !== "i32" && positions.dtype !== "u32") throw new TensorError("TENSOR_DTYPE", `positions of ${positions.dtype}`, "give whole positions, i32 or u32");
  return contiguous(positions.expand([x.shape[0]!, x.shape[2]!]));
}

interface Pullback {
  readonly program: Program;
  readonly needsX: boolean;
}

const pullbacks = new WeakMap<Program, Pullback>();

/** `(g0, g1) → (Σ gₖ ∂yₖ/∂x0, Σ gₖ ∂yₖ/∂x1)`. */
function pullback(program: Program): Pullback {
  let known = pullbacks.get(program);
  if (known === undefined) {
    const slopes = [derivative(program, "x0").outputs, derivative(program, "x1").outputs];
    const back = formula({ ...program.vars, g0: "f32", g1: "f32" })((scope) => {
      const seeds = [scope["g0"], scope["g1"]] as NumberExpr[];
      return slopes.map((column) => {
        // A term that is zero everywhere is left out, so that it stays zero beside an infinite gradient.
        const terms = column.flatMap((slope, k) => (slope.op === "const" && slope.leaf.value === 0 ? [] : [seeds[k]!.mul(slope as NumberExpr)]));
        return terms.length === 0 ? column[0]! : terms.reduce((sum, term) => sum.add(term));
      });
    });
    const read = variablesOf(...back.outputs);
    pullbacks.set(program, (known = { program: back, needsX: read.includes("x0") || read.includes("x1") }));
  }
  return known;
}
