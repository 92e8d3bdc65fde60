export { checkpoint } from "./checkpoint.ts";
export { customOp, type CustomOp } from "./custom-op.ts";
export { createEngine, Engine, type EngineOptions, type TensorOptions } from "./engine.ts";
export { TensorError } from "./errors.ts";
export { fromHalf, toHalf } from "./half.ts";
export { mean, sum, sumTo } from "./ops/sum.ts";
export { broadcastShapes, sizeOf, type DType, type Shape } from "./shape.ts";
export { link, type Backward, type Link } from "./tape.ts";
export { Tensor, type TensorData, type TensorLayout } from "./tensor.ts";
