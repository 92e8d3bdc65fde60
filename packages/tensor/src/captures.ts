import type { BindingSpec, BufferSlice, ParamType, Scalar } from "@polyhead/gpu";
import type { Capture } from "@polyhead/expr";
import type { Engine } from "./engine.ts";
import { showShape, TensorError } from "./errors.ts";
import { sameShape } from "./shape.ts";
import { tableLoader, type OutsideRead } from "./table-loader.ts";
import type { Tensor } from "./tensor.ts";

interface Upload {
  readonly tensor: Tensor;
  version: number;
}

const uploads = new WeakMap<Engine, WeakMap<Capture, Upload>>();
// The collector knows nothing of the pool: without this, the copy of a forgotten table would stay for ever.
const forgotten = new FinalizationRegistry<Tensor>((tensor) => tensor.dispose());

/**
 * The numbers of a capture on the device, in its own shape. Uploaded once an engine and again after `capture.set`; it
 * belongs to this cache, so do not dispose of it.
 */
export function captureTensor(engine: Engine, capture: Capture): Tensor {
  engine.noteTable(capture);
  let known = uploads.get(engine);
  if (known === undefined) uploads.set(engine, (known = new WeakMap()));
  let upload = known.get(capture);
  if (upload === undefined) {
    const tensor = engine.gpu.unrecorded(() => engine.keep(engine.tensor(capture.data, capture.shape, { dtype: capture.type })));
    known.set(capture, (upload = { tensor, version: capture.version }));
    forgotten.register(capture, tensor);
  } else if (upload.version !== capture.version) {
    const { tensor } = upload;
    engine.gpu.unrecorded(() => { engine.upload(tensor, capture.data); });
    upload.version = capture.version;
  }
  return upload.tensor;
}

export interface CaptureCodeOptions {
  /** Starts every generated name. Default `capture`. */
  readonly prefix?: string;
  /** Default `nan`. */
  readonly outside?: OutsideRead;
}

/** The part of a kernel that reads the captures of a program: hand `bindings` and `params` to `defineKernel`. */
export interface CaptureCode {
  /** A storage buffer for every capture that has an axis. */
  readonly bindings: Readonly<Record<string, BindingSpec>>;
  /** A scalar for every 0-d capture, so that a new value needs no upload. */
  readonly params: Readonly<Record<string, ParamType>>;
  /** Module-scope WGSL. */
  readonly functions: string;
  /** The callback of `emitWgsl`. */
  readonly read: (capture: Capture, index: readonly string[]) => string;
}

/**
 * WGSL that reads `captures`, by slot: programs with equal keys get equal code. The numbers come from
 * `captureArguments` with the same list and prefix.
 */
export function captureCode(captures: readonly Capture[], { prefix = "capture", outside = "nan" }: CaptureCodeOptions = {}): CaptureCode {
  const tables = captures.flatMap((capture, slot) => (capture.shape.length > 0 ? [{ capture, name: `${prefix}${slot}` }] : []));
  return {
    bindings: Object.fromEntries(tables.map(({ capture, name }) => [name, `read array<${capture.type}>` as const])),
    params: Object.fromEntries(captures.flatMap((capture, slot) => (capture.shape.length === 0 ? [[`${prefix}${slot}`, capture.type]] : []))),
    functions: tables.map(({ capture, name }) => tableLoader(capture, { name: `read_${name}`, array: name, outside })).join("\n"),
    read: (capture, index) => {
      const slot = captures.indexOf(capture);
      if (slot < 0) throw new TensorError("TENSOR_VALUE", `capture '${capture.name}' is not among the ${captures.length} given to captureCode`, "pass program.captures");
      return capture.shape.length === 0 ? `params.${prefix}${slot}` : `read_${prefix}${slot}(${index.join(", ")})`;
    },
  };
}

export interface CaptureArgumentOptions {
  /** As given to `captureCode`. */
  readonly prefix?: string;
  /** Tensors to read instead of a capture's own numbers, by the capture's name: learned tables. */
  readonly bound?: Readonly<Record<string, Tensor>>;
  /** Values of 0-d captures taken earlier, so that a backward pass sees what the forward pass saw. */
  readonly scalars?: ReadonlyMap<Capture, Scalar>;
}

export interface CaptureArguments {
  readonly bindings: Readonly<Record<string, BufferSlice>>;
  readonly params: Readonly<Record<string, Scalar>>;
}

/**
 * What `gpu.dispatch` needs for a kernel made with `captureCode`.
 *
 * @throws TensorError `TENSOR_SHAPE` or `TENSOR_DTYPE` when a bound tensor does not fit its capture.
 */
export function captureArguments(engine: Engine, captures: readonly Capture[], { prefix = "capture", bound = {}, scalars }: CaptureArgumentOptions = {}): CaptureArguments {
  const bindings: Record<string, BufferSlice> = {};
  const params: Record<string, Scalar> = {};
  captures.forEach((capture, slot) => {
    const name = `${prefix}${slot}`;
    if (capture.shape.length === 0) params[name] = scalars?.get(capture) ?? captureScalar(engine, capture);
    else bindings[name] = (Object.hasOwn(bound, capture.name) ? fitting(capture, bound[capture.name]!) : captureTensor(engine, capture)).slice();
  });
  return { bindings, params };
}

function fitting(capture: Capture, tensor: Tensor): Tensor {
  if (!sameShape(tensor.shape, capture.shape)) throw new TensorError("TENSOR_SHAPE", `capture '${capture.name}' of shape ${showShape(capture.shape)} was bound to a tensor of shape ${showShape(tensor.shape)}`, "bind a tensor of the capture's shape");
  if (tensor.dtype !== capture.type) throw new TensorError("TENSOR_DTYPE", `capture '${capture.name}' reads ${capture.type} and was bound to a tensor of ${tensor.dtype}`, `cast it to ${capture.type} first`);
  return tensor;
}

/** The values of the 0-d captures, now; in a recorded step, those that every replay finds. */
export function scalarValues(engine: Engine, captures: readonly Capture[]): ReadonlyMap<Capture, Scalar> {
  return new Map(captures.filter(({ shape }) => shape.length === 0).map((capture) => [capture, captureScalar(engine, capture)]));
}

/**
 * The value of a 0-d capture for a dispatch: what it is now, so that a backward pass given it sees what the forward pass saw; in a
 * recorded step a live number, so that every replay sees what was set since.
 */
export function captureScalar(engine: Engine, capture: Capture): Scalar {
  return engine.recording ? { get value() { return capture.data[0]!; } } : capture.data[0]!;
}
