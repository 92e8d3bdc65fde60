import { wgsl, type BindingSpec } from "@polyhead/gpu";
import { expertStore } from "./experts.ts";
import type { MatmulSpec } from "./spec.ts";

/** The buffers beside A, B and C that an epilogue asks for, in the order in which they are bound. */
export const EXTRAS = ["bias", "kept", "residual"] as const;
export type Extra = (typeof EXTRAS)[number];

export function extrasOf({ epilogue }: MatmulSpec): Extra[] {
  const wanted: Record<Extra, boolean | undefined> = { bias: epilogue.bias, kept: epilogue.keep, residual: epilogue.residual };
  return EXTRAS.filter((name) => wanted[name]);
}

export function extraBindings(spec: MatmulSpec): Partial<Record<Extra, BindingSpec>> {
  const array = spec.vecC ? "array<vec4f>" : "array<f32>";
  return Object.fromEntries(extrasOf(spec).map((name) => [name, `${name === "kept" ? "write" : "read"} ${array}`]));
}

/**
 * `store(z, cBase, row, column, sum)`: four neighbours of one row, through the epilogue. Outside of M × N it does nothing.
 * `kept` and `residual` are row-major [batch, M, N]; C has strides of its own.
 */
export function storer(spec: MatmulSpec): string {
  const { epilogue, vecC } = spec;
  const steps = (at: string, flat: string, column: string, activated: string): string[] => [
    ...(epilogue.bias ? [`x += bias[${column}];`] : []),
    ...(epilogue.keep ? [`kept[${flat}] = x;`] : []),
    ...(epilogue.activation === undefined ? [] : [`x = ${activated};`]),
    ...(epilogue.residual ? [`x += residual[${flat}];`] : []),
    ...(epilogue.accumulate ? [`x += c[${at}];`] : []),
    `c[${at}] = x;`,
  ];
  const head = wgsl`${epilogue.activation ?? ""}
fn store(z: u32, cBase: u32, row: u32, column: u32, sum: vec4f) {
  if (row >= params.m || column >= params.n) { return; }
  ${spec.experts === "products" ? expertStore : "let at = cBase + row * params.ldc + column;"}
  let flat = (z * params.m + row) * params.n + column;`;
  if (vecC) {
    return wgsl`${head}
  var x = sum * params.alpha;
  ${steps("at >> 2u", "flat >> 2u", "column >> 2u", "vec4f(activate(x.x), activate(x.y), activate(x.z), activate(x.w))")}
}`;
  }
  return wgsl`${head}
  for (var j = 0u; j < min(4u, params.n - column); j++) {
    var x = sum[j] * params.alpha;
    ${steps("at + j", "flat + j", "column + j", "activate(x)")}
  }
}`;
}
