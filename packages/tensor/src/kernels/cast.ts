// Casts between f32 and the packed halves of f16 tensors, and between f32 and whole numbers.
//   f16 holds element 2i in the low and 2i + 1 in the high half of word i; an invocation owns a word
import { defineKernel, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";
import type { DType } from "../shape.ts";

export interface CastOptions {
  readonly source: DType;
  readonly dest: DType;
}

const entry = (body: string): string => wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  ${body}
}`;

const words = (dtype: DType): string => (dtype === "f16" ? "array<u32>" : `array<${dtype}>`);

/** WGSL `nearestHalf(value: f32) -> u32`: rounds to nearest even and overflows to infinity, which pack2x16float leaves to the device. */
export const NEAREST_HALF: string = wgsl`
fn nearestHalf(value: f32) -> u32 {
  let x = bitcast<u32>(value);
  let sign = (x >> 16u) & 0x8000u;
  let size = x & 0x7fffffffu;
  if (size > 0x7f800000u) { return sign | 0x7e00u; }
  if (size >= 0x477ff000u) { return sign | 0x7c00u; }
  if (size < 0x33000001u) { return sign; }
  let exponent = size >> 23u;
  var mantissa = size & 0x7fffffu;
  var shift = 13u;
  var base = 0u;
  if (exponent < 113u) { mantissa |= 0x800000u; shift = 126u - exponent; } else { base = (exponent - 112u) << 10u; }
  let kept = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let up = rest > middle || (rest == middle && (kept & 1u) == 1u);
  return sign | (base + kept + select(0u, 1u, up));
}`;

// WGSL leaves NaN, and numbers past the ends, to the device. The upper bounds are the largest f32 below 2³¹ and 2³².
const toWhole = (dest: "i32" | "u32"): string => wgsl`
fn whole(value: f32) -> ${dest} {
  let isNan = (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
  return select(${dest}(clamp(value, ${dest === "i32" ? "-2147483648.0, 2147483520.0" : "0.0, 4294967040.0"})), ${dest}(0), isNan);
}`;

/** `count` words of the packed side, or elements where neither side is packed. */
export const castKernel: (options: CastOptions) => Kernel = kernelFamily(({ source, dest }) => {
  const code =
    dest === "f16"
      ? NEAREST_HALF + entry(wgsl`y[i] = nearestHalf(x[i * 2u]) | (nearestHalf(select(0.0, x[min(i * 2u + 1u, params.last)], i * 2u + 1u <= params.last)) << 16u);`)
      : source === "f16"
        ? entry(wgsl`let pair = unpack2x16float(x[i]); y[i * 2u] = pair.x; if (i * 2u + 1u <= params.last) { y[i * 2u + 1u] = pair.y; }`)
        : source === "f32" && dest !== "f32"
          ? toWhole(dest) + entry(wgsl`y[i] = whole(x[i]);`)
          : entry(wgsl`y[i] = ${dest}(x[i]);`);
  return defineKernel({ name: `cast/${source}-${dest}`, bindings: { x: `read ${words(source)}`, y: `write ${words(dest)}` }, params: { count: "u32", last: "u32" }, code });
});
