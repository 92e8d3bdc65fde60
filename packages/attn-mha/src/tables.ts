import { PolyheadError, type BoundHook, type Capture, type ScoreHook } from "@polyhead/core";
import type { BufferSlice, Scalar } from "@polyhead/gpu";
import { captureScalar, captureTensor, type Engine, type Tensor } from "@polyhead/tensor";
import { elementsOf, scalarName, type TableLayout } from "./table-layout.ts";

/** The numbers behind a {@link TableLayout} for one call. */
export interface Tables {
  /** The tables by type, end to end; undefined where there is none. */
  readonly floats: Tensor | undefined;
  readonly ints: Tensor | undefined;
  readonly scalars: Readonly<Record<string, Scalar>>;
}

/** The parameter behind each learned capture. @throws PolyheadError `ATTN_TABLE` when it is missing or of another size. */
export function learnedTensors(hooks: readonly BoundHook<Tensor, ScoreHook>[]): ReadonlyMap<Capture, Tensor> {
  const found = new Map<Capture, Tensor>();
  for (const { hook, params } of hooks) {
    for (const capture of hook.program.captures) {
      if (!capture.learned) continue;
      const tensor = params[capture.name];
      if (tensor?.size !== elementsOf(capture)) {
        const given = tensor === undefined ? "no tensor" : `a tensor of shape [${tensor.shape.join(", ")}]`;
        throw new PolyheadError("ATTN_TABLE", `hook '${hook.id}' learns '${capture.name}' of shape [${capture.shape.join(", ")}] and was bound to ${given}`, "bind the hook with bindHooks, and allocate its params as declared");
      }
      found.set(capture, tensor);
    }
  }
  return found;
}

/** Gathers the tables of a call. Without the tape: kernels deliver gradients of learned tables themselves. */
export function gatherTables(engine: Engine, layout: TableLayout, learned: ReadonlyMap<Capture, Tensor>): Tables {
  const tensorOf = (capture: Capture): Tensor => learned.get(capture) ?? captureTensor(engine, capture);
  return {
    floats: endToEnd(engine, layout.floats.map(tensorOf)),
    ints: endToEnd(engine, layout.ints.map(tensorOf)),
    scalars: Object.fromEntries(layout.scalars.map((capture, n) => [scalarName(n), captureScalar(engine, capture)])),
  };
}

function endToEnd(engine: Engine, tensors: readonly Tensor[]): Tensor | undefined {
  const [first, ...more] = tensors;
  if (first === undefined) return undefined;
  return engine.noGrad(() => {
    if (more.length === 0) return first.contiguous();
    const all = engine.empty([tensors.reduce((sum, { size }) => sum + size, 0)], first.dtype);
    let at = 0;
    for (const tensor of tensors) {
      engine.assign(all.narrow(0, at, tensor.size), tensor.reshape([tensor.size]));
      at += tensor.size;
    }
    return all;
  });
}

/** For `gpu.dispatch`. */
export function tableSlices({ floats, ints }: Pick<Tables, "floats" | "ints">): Record<string, BufferSlice> {
  return { ...(floats && { floats: floats.slice() }), ...(ints && { ints: ints.slice() }) };
}

/** Numbers that lie end to end as tensors of their own, in the shapes of `like`: the gradients of tables. */
export function cutTables(numbers: Tensor, like: readonly Tensor[]): Tensor[] {
  let at = 0;
  return like.map(({ size, shape }) => numbers.narrow(0, (at += size) - size, size).reshape(shape));
}
