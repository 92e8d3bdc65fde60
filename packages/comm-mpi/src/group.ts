import type { Handle, Mpi } from "./library.ts";
import { pinned, type Pinned } from "./pinned.ts";

/** A communicator of MPI, in two copies. */
export interface Group {
  /** For messages, and for the data of collectives. */
  readonly data: Handle;
  /** For what ranks agree on before a collective, which must not come between the collectives themselves; and for farewells. */
  readonly control: Handle;
  /** Ranks of the world, by rank of this group. */
  readonly members: readonly number[];
  /** This process's. */
  readonly rank: number;
}

/** Memory into which MPI writes a handle. */
const handleMemory = (mpi: Mpi): Pinned<Int32Array | BigUint64Array> =>
  pinned(mpi, mpi.abi.handleBytes === 4 ? new Int32Array(1) : new BigUint64Array(1));

/** An MPI call that may not fail, on a communicator that is whole. `onFailure` throws. */
export type Check = (code: number) => void;

/** Copies of `comm` in which errors are returned. Blocks until all of its ranks take part. */
export function duplicate(mpi: Mpi, comm: Handle, members: readonly number[], rank: number, check: Check): Group {
  const copy = (): Handle => {
    const made = handleMemory(mpi);
    check(mpi.call.Comm_dup(comm, made.at));
    const handle = made.memory[0]!;
    check(mpi.call.Comm_set_errhandler(handle, mpi.handles.ERRORS_RETURN));
    return handle;
  };
  return { data: copy(), control: copy(), members, rank };
}

/** The part of `group` to which this rank goes. Blocks until all of its ranks take part. */
export function part(mpi: Mpi, group: Group, color: number, key: number, members: readonly number[], rank: number, check: Check): Group {
  const made = handleMemory(mpi);
  check(mpi.call.Comm_split(group.data, color, key, made.at));
  const comm = made.memory[0]!;
  check(mpi.call.Comm_set_errhandler(comm, mpi.handles.ERRORS_RETURN));
  const copies = duplicate(mpi, comm, members, rank, check);
  free(mpi, comm);
  return copies;
}

function free(mpi: Mpi, comm: Handle): void {
  const made = handleMemory(mpi);
  if (made.memory instanceof Int32Array) made.memory[0] = Number(comm);
  else made.memory[0] = BigInt(comm);
  mpi.call.Comm_free(made.at);
}

export function freeGroup(mpi: Mpi, group: Group): void {
  free(mpi, group.control);
  free(mpi, group.data);
}
