import { packHalf } from "./half.ts";
import type { DType } from "./shape.ts";

/** Numbers as the bytes of a dtype; typed arrays of it are taken as they are. */
export function encode(data: ArrayLike<number>, dtype: DType): Float32Array | Uint32Array | Int32Array | Uint16Array {
  switch (dtype) {
    case "f32":
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case "f16":
      return packHalf(data);
    case "u32":
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
    case "i32":
      return data instanceof Int32Array ? data : Int32Array.from(data);
  }
}
