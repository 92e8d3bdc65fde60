import { isMainThread } from "node:worker_threads";
import { argumentError, checkTimeLimit, type Communicator, type CommunicatorOptions, createOperations } from "@polyhead/core";
import { createArrivals } from "./arrivals.ts";
import { MpiCommunicator, type World } from "./communicator.ts";
import { endedError } from "./errors.ts";
import { watchEnding } from "./ending.ts";
import { duplicate, freeGroup } from "./group.ts";
import { checkLauncher, underLauncher } from "./launcher.ts";
import { loadMpi, type Mpi } from "./library.ts";
import { pinned } from "./pinned.ts";
import { createPoller } from "./poller.ts";
import { createRequests, explain } from "./requests.ts";
import { callWitness, noWitness } from "./witness.ts";

let opened = false;

const GONE = "this process ended before it could say why: it crashed, memory ran out, or its launcher killed it, as it does with every rank when one is lost";

/** What `MPI_Init` allows once in a process, from the thread that makes every other call. */
function mustBeFirst(timeoutMs: number | undefined): void {
  checkTimeLimit(0, timeoutMs);
  if (!isMainThread) throw argumentError(0, "mpiCommunicator() in a worker thread", "call it in the main thread, and hand the workers what they need");
  if (opened) throw argumentError(0, "a second mpiCommunicator() in this process", "keep the first one, and use split(0) for one with tags of its own");
  opened = true;
}

const mustWork = (mpi: Mpi, rank: number) => (code: number): void => {
  if (code !== 0) throw endedError(rank, `MPI reports: ${explain(mpi, code)} (${mpi.file}, ${mpi.version})`);
};

function numberOf(mpi: Mpi, ask: "Comm_rank" | "Comm_size"): number {
  const number = pinned(mpi, new Int32Array(1));
  mpi.call[ask](mpi.handles.COMM_WORLD, number.at);
  return number.memory[0]!;
}

/**
 * This process's rank among those that `mpirun`, `mpiexec` or `srun` has started; a world of one where no launcher has.
 * Once a process: MPI cannot be started again after `close`.
 *
 * Blocks until every rank has started. A process that ends without `close` ends the job on every rank, whatever its exit code.
 * On SIGTERM, with which launchers end a job, what is under way rejects with `COMM_LOST`, and half a second later the process
 * exits with 143 unless the program listens to SIGTERM itself.
 *
 * @throws PolyheadError `COMM_NO_MPI` when no MPI library loads; `COMM_LAUNCHER` when the one that loads is not the launcher's;
 *   `COMM_ARGUMENT` for a time limit that is none, in a worker thread, or for a second time; `COMM_LOST` when MPI does not start.
 */
export async function mpiCommunicator({ timeoutMs }: CommunicatorOptions = {}): Promise<Communicator> {
  mustBeFirst(timeoutMs);
  const witness = underLauncher() ? callWitness() : noWitness;
  let mpi: Mpi;
  try {
    mpi = await loadMpi(process.env);
  } catch (error) {
    opened = false;
    witness.dismiss();
    throw error;
  }
  const { call, handles } = mpi;
  const provided = pinned(mpi, new Int32Array(1));
  mustWork(mpi, 0)(call.Init_thread(0n, 0n, mpi.abi.threadFunneled, provided.at));
  call.Comm_set_errhandler(handles.COMM_WORLD, handles.ERRORS_RETURN);
  const rank = numberOf(mpi, "Comm_rank");
  const size = numberOf(mpi, "Comm_size");
  try {
    checkLauncher(size, mpi, process.env);
  } catch (error) {
    call.Finalize();
    throw error;
  }
  witness.testify(`polyhead: ${endedError(rank, GONE).message}`);

  const group = duplicate(mpi, handles.COMM_WORLD, Array.from({ length: size }, (_, one) => one), rank, mustWork(mpi, rank));
  const poller = createPoller();
  const requests = createRequests(mpi, poller);
  const operations = createOperations({ rank, timeoutMs, onStall: (error) => ending.giveUp(error, error.message.split("\n")[0]!) });
  const ending = watchEnding({ mpi, control: group.control, poller, requests, operations, witness, rank, size });
  const world: World = {
    mpi, requests, operations, ending, rank,
    arrivals: createArrivals(mpi, poller, requests),
    closed: false,
    finish() {
      ending.remove();
      freeGroup(mpi, group);
      // Blocking, so that no rank leaves while another still needs it to move messages.
      call.Barrier(handles.COMM_WORLD);
      call.Finalize();
    },
  };
  return new MpiCommunicator(world, group, true);
}
