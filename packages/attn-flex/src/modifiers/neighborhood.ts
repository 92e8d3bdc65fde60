import { custom, maskMod, type CustomMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * Positions are pixels of a canvas, row by row, and a pixel sees the `size × size` pixels nearest to it: neighbourhood
 * attention, Hassani et al. 2022, arXiv:2204.07143, §3.1. Near an edge the square is pushed inwards rather than cut off, so every
 * pixel sees as many. `size` is odd; where the canvas is smaller, it is seen whole.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function neighborhood({ width, height, size }: { readonly width: number; readonly height: number; readonly size: number }): CustomMask & Drawn {
  const [w, h] = [extent("neighborhood", "width", width), extent("neighborhood", "height", height)];
  const radius = Math.floor(extent("neighborhood", "size", size) / 2);
  // The centre of the square: the pixel itself, as far as the square fits; on a smaller canvas the second bound wins.
  const [right, bottom] = [Math.max(radius, w - 1 - radius), Math.max(radius, h - 1 - radius)];
  const program = maskMod`
    x = clamp(q % ${w}, ${radius}, ${right});
    y = clamp(idiv(q, ${w}), ${radius}, ${bottom});
    q < ${w * h} && kv < ${w * h} && abs(kv % ${w} - x) <= ${radius} && abs(idiv(kv, ${w}) - y) <= ${radius}`;
  return drawnMask(`neighbourhood of ${String(size)} × ${String(size)} on ${String(width)} × ${String(height)}`, custom(program), w * h);
}
