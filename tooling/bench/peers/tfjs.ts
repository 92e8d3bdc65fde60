import type * as Tf from "@tensorflow/tfjs";

export type TfModule = typeof Tf;

/** Loads tfjs on its WebGPU backend. The umbrella package is needed: tfjs-core alone registers no gradient. */
export async function loadTfjs(): Promise<TfModule> {
  const loaded = (await import("@tensorflow/tfjs")) as TfModule & { default?: TfModule };
  const tf = loaded.default ?? loaded;
  await import("@tensorflow/tfjs-backend-webgpu");
  if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs could not start its WebGPU backend");
  await tf.ready();
  return tf;
}
