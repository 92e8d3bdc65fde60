import { attribute, required, textAttribute, upload, type OnnxOperator } from "./operator.ts";
import { UnsupportedCase } from "../unsupported.ts";

/** TensorScatter-24: writes each batch row's update into a cache, from that row's own index on. */
export const tensorScatterOperator: OnnxOperator = (call) => {
  const mode = textAttribute(call, "mode", "linear");
  if (mode !== "linear" && mode !== "circular") throw new UnsupportedCase(`mode '${mode}'`);
  const cache = upload(call, 0);
  const update = upload(call, 1);
  const given = attribute(call, "axis", -2);
  const axis = given < 0 ? given + cache.rank : given;
  const batch = cache.shape[0]!;
  const [length, capacity] = [update.shape[axis]!, cache.shape[axis]!];
  const starts = call.inputs[2] === undefined ? new Float64Array(batch) : required(call, 2).numbers();
  starts.forEach((start, b) => {
    for (let i = 0; i < length; i++) {
      const at = mode === "circular" ? (start + i) % capacity : start + i;
      call.engine.assign(cache.narrow(0, b, 1).narrow(axis, at, 1), update.narrow(0, b, 1).narrow(axis, i, 1));
    }
  });
  return { outputs: [cache], kernel: "strided-copy" };
};
