/**
 * A failure of the GPU layer. Recognise it by `code`, not by `instanceof`: two copies of this package may live in one tree.
 *
 * Codes: `GPU_NO_ADAPTER`, `GPU_SHADER`, `GPU_VALIDATION`, `GPU_OUT_OF_MEMORY`, `GPU_TOO_LARGE`, `GPU_DEVICE_LOST`,
 * `GPU_UNSUPPORTED`, `GPU_DISPATCH`, `GPU_DISPOSED`, `GPU_REPLAY`, `GPU_HOST_STEP`.
 */
export class GpuError extends Error {
  readonly code: string;
  /** What the caller can do about it. */
  readonly fix: string;

  constructor(code: string, message: string, fix: string, options?: ErrorOptions) {
    super(`[${code}] ${message}\n  fix: ${fix}`, options);
    this.name = "GpuError";
    this.code = code;
    this.fix = fix;
  }
}

export interface ShaderMessage {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Turns compiler messages into one error that shows the offending source lines with a caret. */
export function shaderError(kernel: string, code: string, messages: readonly ShaderMessage[]): GpuError {
  const lines = code.split("\n");
  const shown = messages.slice(0, 5).map(({ line, column, message }) => {
    const source = lines[line - 1];
    const where = `  ${kernel}:${line}:${column} ${message}`;
    return source === undefined ? where : `${where}\n    ${source}\n    ${" ".repeat(Math.max(0, column - 1))}^`;
  });
  return new GpuError(
    "GPU_SHADER",
    `kernel '${kernel}' does not compile on this device\n${shown.join("\n")}`,
    "correct the WGSL at the line shown; if it uses `enable f16` or `enable subgroups`, check gpu.caps first",
  );
}
