import { allEnded, argumentError, lengthError, type Operations, type Waiting } from "@polyhead/core";
import type { Group } from "./group.ts";
import type { Address, Mpi } from "./library.ts";
import type { Failure, Requests } from "./requests.ts";

/** What every rank of a collective must give alike. */
interface Signature {
  /** Such as `allReduce sum f32`. */
  readonly what: (typeof CALLS)[number];
  readonly root: number;
  readonly bytes: number;
}

const CALLS = ["barrier", "close", "split", "broadcast", "allReduce sum f32", "allReduce sum f64", "allReduce max f32", "allReduce max f64"] as const;
export type CollectiveCall = (typeof CALLS)[number];

export interface Collectives {
  /**
   * Resolves when every rank has called the same, and, where there is a `post`, MPI has done it. MPI itself leaves open what
   * happens when ranks disagree: so they compare first, and all of them reject where they do.
   */
  run(signature: Signature, keep: unknown, post?: (request: Address) => number): Promise<void>;
}

export interface CollectivesOptions {
  readonly mpi: Mpi;
  readonly requests: Requests;
  readonly operations: Operations;
  readonly group: Group;
  /** Rank of the world, for messages. */
  readonly worldRank: number;
  /** Throws for what MPI reports. */
  readonly mustWork: (failure: Failure, waiting: Waiting) => void;
}

export function createCollectives({ mpi, requests, operations, group, worldRank, mustWork }: CollectivesOptions): Collectives {
  const { address, call, handles } = mpi;
  // Agreements may end in another order on every rank; what they lead to is posted in the order of the calls.
  let previous: Promise<void> = Promise.resolve();

  const agree = async (signature: Signature, waiting: Waiting): Promise<void> => {
    const own = [CALLS.indexOf(signature.what), signature.root, signature.bytes];
    // The largest of x and the largest of −x: equal up to the sign on every rank when all give the same.
    const both = new Float64Array([...own, ...own.map((value) => -value)]);
    mustWork(await requests.start(both, (request) => call.Iallreduce(mpi.abi.inPlace, address(both), both.length, handles.DOUBLE, handles.MAX, group.control, request)), waiting);
    const [what = 0, root = 0, bytes = 0] = both;
    const least = both.subarray(3).map((value) => -value);
    if (what !== least[0] || root !== least[1]) {
      const [one, other] = [least[0]!, what].map((index) => CALLS[index]);
      const differ = one === other ? `${one} from root ${least[1]} on one rank, from root ${root} on another` : `${one} on one rank, ${other} on another`;
      throw argumentError(worldRank, `ranks call different collectives at the same time: ${differ}`, "call the collectives of a communicator in the same order on every rank");
    }
    if (bytes !== least[2]) throw lengthError(worldRank, waiting, bytes === signature.bytes ? least[2]! : bytes);
  };

  return {
    run(signature, keep, post) {
      const waiting: Waiting = { operation: signature.what, peers: group.members.filter((member) => member !== worldRank), bytes: signature.bytes };
      return operations.run(waiting, async () => {
        const agreed = agree(signature, waiting);
        const turn = previous;
        let posted = (): void => undefined;
        previous = new Promise((resolve) => (posted = resolve));
        let ended: Promise<Failure> | undefined;
        try {
          await allEnded([agreed, turn]);
          if (post !== undefined) ended = requests.start(keep, post);
        } finally {
          posted();
        }
        if (ended !== undefined) mustWork(await ended, waiting);
      });
    },
  };
}
