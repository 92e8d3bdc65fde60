import { formula } from "@polyhead/expr";
import type { Tensor } from "../tensor.ts";
import type { Operand } from "./arithmetic.ts";
import { map } from "./map.ts";

const byInteger = formula({ condition: "i32", a: "f32", b: "f32" })`condition != 0 ? a : b`;
const byFloat = formula({ condition: "f32", a: "f32", b: "f32" })`condition != 0 ? a : b`;

/** `a` where `condition` is not zero, else `b`; shapes broadcast. NaN or infinity in the branch not taken does no harm, in the gradient neither. */
export const where = (condition: Tensor, a: Operand, b: Operand): Tensor => map(condition.dtype === "f32" ? byFloat : byInteger, { condition, a, b });
