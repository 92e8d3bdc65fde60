import type { Address, Mpi } from "./library.ts";

/** Memory that MPI writes, and its address: memory of which only the address is kept is collected, and given to others. */
export interface Pinned<T extends ArrayBufferView> {
  readonly memory: T;
  readonly at: Address;
}

export const pinned = <T extends ArrayBufferView>(mpi: Mpi, memory: T): Pinned<T> => ({ memory, at: mpi.address(memory) });
