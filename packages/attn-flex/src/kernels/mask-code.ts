import { emitWgsl, type Program } from "@polyhead/core";
import { captureCode, type CaptureCode } from "@polyhead/tensor";

/** What a kernel needs to ask a mask: bindings and scalars for its captures, and `fn allows(b, h, q, kv) -> bool`. */
export interface MaskCode extends Pick<CaptureCode, "bindings" | "params"> {
  readonly functions: string;
}

/** A mask's program as WGSL. Positions are global, and the arguments are i32. */
export function maskCode(program: Program): MaskCode {
  const captures = captureCode(program.captures);
  const { statements, results, helpers } = emitWgsl(program, { read: captures.read, vars: { b: "b", h: "h", q: "q", kv: "kv" } });
  const functions = [
    ...Object.values(helpers),
    captures.functions,
    `fn allows(b: i32, h: i32, q: i32, kv: i32) -> bool {\n${statements}\n  return ${results[0] ?? "true"};\n}`,
  ];
  return { bindings: captures.bindings, params: captures.params, functions: functions.join("\n") };
}
