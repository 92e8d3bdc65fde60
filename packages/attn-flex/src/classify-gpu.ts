import { PolyheadError, toProgram, type Mask } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import { captureArguments, type Engine, type Tensor } from "@polyhead/tensor";
import { classifyKernel } from "./kernels/classify.ts";
import { gridOf, type BlockSizes } from "./sizes.ts";

/**
 * The state of every block, u32 `[batch, heads, query blocks, key blocks]`: exact, and by the numbers that the mask's
 * captures hold on the device. Recorded, it is told anew by every replay.
 *
 * @throws PolyheadError `FLEX_CAPTURES` for a mask with more tables than a device binds.
 */
export function classifyOnGpu(engine: Engine, mask: Mask, sizes: BlockSizes): Tensor {
  const program = toProgram(mask);
  const { batch, heads } = sizes;
  const { queryBlocks, keyBlocks } = gridOf(sizes);
  const tables = program.captures.filter(({ shape }) => shape.length > 0).length;
  const most = engine.gpu.caps.storageBuffers - 2;
  if (tables > most) throw new PolyheadError("FLEX_CAPTURES", `the mask reads ${String(tables)} tables; this device binds ${String(most)} beside the blocks`, "lay tables end to end in one capture, or classify by: 'intervals'");
  const states = engine.empty([batch, heads, queryBlocks, keyBlocks], "u32");
  const { bindings, params } = captureArguments(engine, program.captures);
  engine.gpu.dispatch(
    classifyKernel(program, sizes.keyBlock),
    { ...bindings, states: states.slice() },
    {
      ...params,
      blocks: states.size, queryBlocks, keyBlocks, heads,
      queries: sizes.queries, keys: sizes.keys, queryBlock: sizes.queryBlock, keyBlock: sizes.keyBlock, qOffset: sizes.qOffset, kvOffset: sizes.kvOffset,
    },
    flatGrid(states.size, 1),
  );
  return states;
}
