import type { BufferSlice } from "@polyhead/gpu";
import { showShape, TensorError } from "../../errors.ts";
import type { Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { sumTo } from "../../ops/sum.ts";
import { chooseTemplate } from "./choose.ts";
import type { Extra } from "./epilogue.ts";
import { matmulKernel } from "./family.ts";
import { inParts } from "./parts.ts";
import { planMatmul, sizesOf, windowOf } from "./plan.ts";
import { tileOf, type Epilogue, type MatmulTemplate } from "./spec.ts";

export interface ProductOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Factor of every sum. Default 1. */
  readonly alpha?: number;
  /** [N], contiguous. */
  readonly bias?: Tensor | undefined;
  /** WGSL that declares `fn activate(x: f32) -> f32`. */
  readonly activation?: string | undefined;
  /** Receives what the activation was given; contiguous, of the result's shape. */
  readonly keep?: Tensor | undefined;
  /** Added after the activation; contiguous, of the result's shape. */
  readonly residual?: Tensor | undefined;
  /** Where to write, with contiguous rows; a new tensor by default. */
  readonly out?: Tensor | undefined;
  /** Adds to `out`. */
  readonly accumulate?: boolean;
  /** Batch shape of the result: 1 or missing where a batch axis is summed. */
  readonly batch?: Shape;
  /** Default: the measured winner, else the built-in choice. */
  readonly template?: MatmulTemplate | undefined;
}

function checkTypes(a: Tensor, b: Tensor): void {
  if (a.dtype !== "f32") throw new TensorError("TENSOR_DTYPE", `the left operand of a product is ${a.dtype}, of shape ${showShape(a.shape)}`, "cast it to f32; only the right one may be f16");
  if (b.dtype !== "f32" && b.dtype !== "f16") throw new TensorError("TENSOR_DTYPE", `the right operand of a product is ${b.dtype}, of shape ${showShape(b.shape)}`, "cast it to f32 or f16");
  if (a.engine !== b.engine) throw new TensorError("TENSOR_ENGINE", "a product of tensors of two engines", "make both on one engine");
}

/** Runs op(a) · op(b) with an epilogue. Without the tape. */
export function product(a: Tensor, b: Tensor, options: ProductOptions = {}): Tensor {
  checkTypes(a, b);
  const { engine } = a;
  return engine.noGrad(() => engine.scope(() => bound(a, b, options)));
}

/** In as many parts as bindings need, which mostly is one. */
const bound = (a: Tensor, b: Tensor, options: ProductOptions): Tensor => inParts(a, b, options, bound) ?? run(a, b, options);

function run(a: Tensor, b: Tensor, options: ProductOptions): Tensor {
  const { engine } = a;
  const { gpu } = engine;
  const { transA = false, transB = false, alpha = 1, bias, keep, residual, accumulate = false } = options;
  const { m, n, batch } = sizesOf(a, b, transA, transB);
  const kept = options.batch ?? batch;
  const shape = [...kept, m, n];
  const plan = planMatmul(a, b, transA, transB, kept, options.out?.strides);
  if (plan === undefined) return spread(a, b, options, shape);
  const out = options.out ?? engine.empty(shape);
  if (out.strides.at(-1) !== 1 && n > 1) throw new TensorError("TENSOR_SHAPE", `a product cannot be written to columns at a stride of ${out.strides.at(-1)!}`, "give an output whose last axis is contiguous");
  const half = b.dtype === "f16";
  const target = windowOf(out);
  const vecC = plan.vecC && target.at % 4 === 0;
  const { params, batches } = plan;
  const aligned = plan.vecA && plan.vecB && vecC;
  const template = options.template ?? chooseTemplate(gpu, { m: params.m, n, k: params.k, batches, transA: plan.transA, transB: plan.transB, aligned, half });
  const epilogue: Epilogue = {
    ...(bias && { bias: true }),
    ...(keep && { keep: true }),
    ...(options.activation !== undefined && { activation: options.activation }),
    ...(residual && { residual: true }),
    ...(accumulate && { accumulate: true }),
  };
  const kernel = matmulKernel({
    template,
    transA: plan.transA,
    transB: plan.transB,
    vecA: plan.vecA,
    vecB: plan.vecB,
    vecC,
    ragged: params.k % 4 !== 0,
    half,
    reduce: params.folds > 1,
    epilogue,
  });
  const [rows, columns] = tileOf(template);
  const bindings: Partial<Record<"a" | "b" | "c" | Extra, BufferSlice>> = {
    a: plan.a,
    b: plan.b,
    c: target.slice,
    ...(bias && { bias: bias.slice() }),
    ...(keep && { kept: keep.slice() }),
    ...(residual && { residual: residual.slice() }),
  };
  gpu.dispatch(kernel, bindings as Record<"a" | "b" | "c" | Extra, BufferSlice>, { ...params, cAt: target.at, alpha }, [Math.ceil(n / columns), Math.ceil(params.m / rows), batches]);
  return out;
}

/** Two separate batch axes to sum: makes the whole product, then sums it. */
function spread(a: Tensor, b: Tensor, { out, accumulate = false, ...options }: ProductOptions, shape: Shape): Tensor {
  const { batch: _, ...rest } = options;
  const summed = sumTo(run(a, b, rest), shape);
  if (out === undefined) return summed;
  if (accumulate) throw new TensorError("TENSOR_SHAPE", `cannot add to an output of shape ${showShape(out.shape)} while summing two separate batch axes`, "leave out `out`, and add the result");
  out.engine.assign(out, summed);
  return out;
}
