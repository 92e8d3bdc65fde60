import type * as Jax from "@jax-js/jax";

export type JaxDevice = "webgpu" | "wasm";
export type JaxModule = typeof Jax;

/** Loads jax-js with the backend asked for. Its synchronous reads throw on WebGPU in Node, so contenders read with `await`. */
export async function loadJax(device: JaxDevice): Promise<JaxModule> {
  const jax = await import("@jax-js/jax");
  const ready = await jax.init(device);
  if (!ready.includes(device)) throw new Error(`jax-js has no ${device} backend here`);
  return jax;
}
