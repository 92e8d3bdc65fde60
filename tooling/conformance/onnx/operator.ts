import type { StoredTensor } from "@polyhead/core/safetensors";
import type { Engine, Tensor } from "@polyhead/tensor";
import { UnsupportedCase } from "../unsupported.ts";

/** One case as an operator sees it: tensors by slot, attributes as the index spells them. */
export interface OnnxCall {
  readonly engine: Engine;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly (StoredTensor | undefined)[];
  /** The shapes that are wanted, by slot; undefined where the case asks for no output. */
  readonly outputShapes: readonly (readonly number[] | undefined)[];
  /** Plan this kernel or none, where there is one to choose. */
  readonly kernel?: string | undefined;
}

/** What an operator gives, by output slot, and what it ran on. */
export interface OnnxAnswer {
  readonly outputs: readonly (Tensor | undefined)[];
  readonly kernel: string;
  readonly lowering?: Readonly<Record<string, string>>;
}

/** Runs one ONNX operator on the GPU. @throws UnsupportedCase for what it cannot do. */
export type OnnxOperator = (call: OnnxCall) => OnnxAnswer;

export function attribute(call: OnnxCall, name: string, fallback: number): number {
  const value = call.attributes[name] ?? fallback;
  if (typeof value !== "number") throw new UnsupportedCase(`attribute ${name} is ${JSON.stringify(value)}; expected a number`);
  return value;
}

export function textAttribute(call: OnnxCall, name: string, fallback: string): string {
  const value = call.attributes[name] ?? fallback;
  if (typeof value !== "string") throw new UnsupportedCase(`attribute ${name} is ${JSON.stringify(value)}; expected a string`);
  return value;
}

export function required(call: OnnxCall, slot: number): StoredTensor {
  const tensor = call.inputs[slot];
  if (tensor === undefined) throw new UnsupportedCase(`input ${slot} is missing`);
  return tensor;
}

/** The f32 tensor of a slot: f16 is storage, arithmetic is f32. */
export function upload(call: OnnxCall, slot: number): Tensor {
  const { shape, size } = required(call, slot);
  return call.engine.tensor(required(call, slot).floats(), size === 0 ? [0] : shape);
}

export const optional = (call: OnnxCall, slot: number): Tensor | undefined => (call.inputs[slot] === undefined ? undefined : upload(call, slot));
