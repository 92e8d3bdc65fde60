import type { BlockLists } from "@polyhead/attn-flash/kernel";
import { flatGrid } from "@polyhead/gpu";
import type { Engine, Tensor } from "@polyhead/tensor";
import { compactKernel } from "./kernels/compact.ts";
import { EMPTY, FULL, gridOf, PARTIAL, type BlockSizes } from "./sizes.ts";

/** Lists in both orientations of states on the device. Their tensors belong to the caller. */
export function listsOfTensor(engine: Engine, states: Tensor, sizes: BlockSizes): BlockLists {
  const { queryBlocks, keyBlocks } = gridOf(sizes);
  const compacted = (owners: number, entries: number, [ownerStride, entryStride]: readonly [number, number]): Tensor => {
    const lists = engine.keep(engine.empty([sizes.batch, sizes.heads, owners, 1 + entries], "i32"));
    const total = sizes.batch * sizes.heads * owners;
    engine.gpu.dispatch(compactKernel, { states: states.slice(), lists: lists.slice() }, { total, owners, entries, ownerStride, entryStride }, flatGrid(total, 64));
    return lists;
  };
  return assembled(sizes, compacted(queryBlocks, keyBlocks, [keyBlocks, 1]), compacted(keyBlocks, queryBlocks, [1, keyBlocks]));
}

/** Lists in both orientations of states on the CPU. Their tensors belong to the caller. */
export function listsOfArray(engine: Engine, states: Uint8Array, sizes: BlockSizes): BlockLists {
  const { queryBlocks, keyBlocks } = gridOf(sizes);
  const compacted = (owners: number, entries: number, [ownerStride, entryStride]: readonly [number, number]): Tensor => {
    const shape = [sizes.batch, sizes.heads, owners, 1 + entries];
    const lists = new Int32Array(sizes.batch * sizes.heads * owners * (1 + entries));
    for (let list = 0, head = 0; head < lists.length; list++, head += 1 + entries) {
      const first = Math.floor(list / owners) * owners * entries + (list % owners) * ownerStride;
      let count = 0;
      for (let entry = 0; entry < entries; entry++) {
        const state = states[first + entry * entryStride];
        if (state !== EMPTY) lists[head + ++count] = (entry << 1) | (state === FULL ? 1 : 0);
      }
      lists[head] = count;
    }
    return engine.gpu.unrecorded(() => engine.keep(engine.tensor(lists, shape, { dtype: "i32" })));
  };
  return assembled(sizes, compacted(queryBlocks, keyBlocks, [keyBlocks, 1]), compacted(keyBlocks, queryBlocks, [1, keyBlocks]));
}

function assembled(sizes: BlockSizes, keysOf: Tensor, queriesOf: Tensor): BlockLists {
  const { batch, heads, queryBlock, keyBlock, qOffset, kvOffset } = sizes;
  return Object.freeze({ queryBlock, keyBlock, qOrigin: qOffset, kvOrigin: kvOffset, batch, heads, ...gridOf(sizes), keysOf, queriesOf });
}

/** The state of every block, `[batch, heads, query blocks, key blocks]`, read back from lists. */
export async function readStates({ batch, heads, queryBlocks, keyBlocks, keysOf }: BlockLists): Promise<Uint8Array> {
  const lists = await keysOf.read();
  const states = new Uint8Array(batch * heads * queryBlocks * keyBlocks);
  for (let list = 0; list < batch * heads * queryBlocks; list++) {
    const head = list * (1 + keyBlocks);
    for (let n = 1; n <= (lists[head] ?? 0); n++) {
      const entry = lists[head + n] ?? 0;
      states[list * keyBlocks + (entry >> 1)] = (entry & 1) === 1 ? FULL : PARTIAL;
    }
  }
  return states;
}
