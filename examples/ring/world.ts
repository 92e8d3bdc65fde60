import { localCommunicators } from "@polyhead/comm-local";
import { mpiCommunicator, underLauncher } from "@polyhead/comm-mpi";
import { PolyheadError, type Communicator } from "@polyhead/core";
import type { Options } from "./arguments.ts";
import { runRank, type RunReport } from "./rank.ts";

/** A software device may compile for minutes while the others wait for its first message. */
const timeoutMs = 600_000;

/** Where the ranks are: in this process, or one of them is this process. */
export const underMpi = ({ comm }: Pick<Options, "comm">): boolean => comm === "mpi" || (comm === "auto" && underLauncher());

/** Runs every rank of this process; what there is to tell, in the process that has rank 0. */
export async function runWorld(options: Options): Promise<RunReport | undefined> {
  if (underMpi(options)) return runProcess(options);
  const communicators = localCommunicators(options.ranks, { timeoutMs });
  const [report] = await Promise.all(communicators.map((communicator) => runRank(communicator, options)));
  await Promise.all(communicators.map((communicator) => communicator.close()));
  return report;
}

async function runProcess(options: Options): Promise<RunReport | undefined> {
  const communicator: Communicator = await mpiCommunicator({ timeoutMs });
  if (options.ranksGiven && options.ranks !== communicator.size) {
    const message = `--ranks is ${options.ranks}, but the launcher has started ${communicator.size}`;
    await communicator.close();
    throw new PolyheadError("ARGUMENT_CLASH", message, "leave --ranks out under MPI: mpirun -n says how many there are");
  }
  const report = await runRank(communicator, { ...options, ranks: communicator.size });
  await communicator.close();
  return report;
}
