import type { LibraryHandle } from "koffi";
import { abiOf, HANDLES, type Abi, type HandleName } from "./abi.ts";
import { noMpiError, unknownMpiError, type Loaded } from "./errors.ts";
import { candidates, type Environment } from "./search.ts";

/** A handle of MPI as koffi takes and gives it. */
export type Handle = number | bigint;

/** The address of memory that MPI reads or writes. Whoever passes one keeps the memory referenced until MPI is done with it. */
export type Address = bigint;

/** Every call returns an error code, 0 for none. */
interface Calls {
  Init_thread(argc: Address, argv: Address, required: number, provided: Address): number;
  Finalize(): number;
  Abort(comm: Handle, code: number): number;
  Comm_rank(comm: Handle, rank: Address): number;
  Comm_size(comm: Handle, size: Address): number;
  Comm_dup(comm: Handle, copy: Address): number;
  Comm_split(comm: Handle, color: number, key: number, part: Address): number;
  Comm_free(comm: Address): number;
  Comm_set_errhandler(comm: Handle, handler: Handle): number;
  Isend(data: Address, count: number, type: Handle, to: number, tag: number, comm: Handle, request: Address): number;
  Irecv(into: Address, count: number, type: Handle, from: number, tag: number, comm: Handle, request: Address): number;
  Ibcast(data: Address, count: number, type: Handle, root: number, comm: Handle, request: Address): number;
  Iallreduce(send: Address, into: Address, count: number, type: Handle, op: Handle, comm: Handle, request: Address): number;
  Barrier(comm: Handle): number;
  Test(request: Address, flag: Address, status: Address): number;
  Cancel(request: Address): number;
  Wait(request: Address, status: Address): number;
  Improbe(from: number, tag: number, comm: Handle, flag: Address, message: Address, status: Address): number;
  Imrecv(into: Address, count: number, type: Handle, message: Address, request: Address): number;
  Get_count(status: Address, type: Handle, count: Address): number;
  Error_string(code: number, text: Address, length: Address): number;
}

const P = "uintptr_t";
type Argument = "int" | "uintptr_t" | "handle";

const SIGNATURES: Readonly<Record<keyof Calls, readonly Argument[]>> = {
  Init_thread: [P, P, "int", P],
  Finalize: [],
  Abort: ["handle", "int"],
  Comm_rank: ["handle", P],
  Comm_size: ["handle", P],
  Comm_dup: ["handle", P],
  Comm_split: ["handle", "int", "int", P],
  Comm_free: [P],
  Comm_set_errhandler: ["handle", "handle"],
  Isend: [P, "int", "handle", "int", "int", "handle", P],
  Irecv: [P, "int", "handle", "int", "int", "handle", P],
  Ibcast: [P, "int", "handle", "int", "handle", P],
  Iallreduce: [P, P, "int", "handle", "handle", "handle", P],
  Barrier: ["handle"],
  Test: [P, P, P],
  Cancel: [P],
  Wait: [P, P],
  Improbe: ["int", "int", "handle", P, P, P],
  Imrecv: [P, "int", "handle", P, P],
  Get_count: [P, "handle", P],
  Error_string: ["int", P, P],
};

/** An MPI library, ready to be called. */
export interface Mpi extends Loaded {
  readonly abi: Abi;
  readonly call: Calls;
  readonly handles: Readonly<Record<HandleName, Handle>>;
  /** Does not pin: garbage collection never moves this memory, but frees it when nobody holds the view. */
  readonly address: (view: ArrayBufferView) => Address;
}

type Koffi = typeof import("koffi");

/** Loaded when asked for, so that a program may import this package where there is no MPI. */
async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import("koffi")).default as unknown as Koffi;
  } catch (error) {
    throw noMpiError([`koffi (${error instanceof Error ? error.message : String(error)})`]);
  }
}

function open(koffi: Koffi, names: readonly string[]): { readonly library: LibraryHandle; readonly file: string } {
  const tried: string[] = [];
  for (const file of names) {
    try {
      // Open MPI's plugins look for the library's symbols among the global ones.
      return { library: koffi.load(file, { lazy: true, global: true }), file };
    } catch (error) {
      tried.push(`${file} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  throw noMpiError(tried);
}

/** The first line of what the library says of itself; allowed before `MPI_Init`. */
function versionOf(koffi: Koffi, library: LibraryHandle): string {
  const text = new Uint8Array(8192);
  const length = new Int32Array(1);
  (library.func("MPI_Get_library_version", "int", [P, P]) as (text: Address, length: Address) => number)(koffi.address(text), koffi.address(length));
  return Buffer.from(text.subarray(0, length[0])).toString("latin1").replace(/[\0\n,].*$/s, "").replaceAll(/\s+/g, " ").trim();
}

/**
 * Loads the MPI library that the environment asks for, the launcher's first.
 *
 * @throws PolyheadError `COMM_NO_MPI`, with the ways to get one.
 */
export async function loadMpi(env: Environment): Promise<Mpi> {
  const koffi = await loadKoffi();
  // UCX's signal handler takes the traps of WebAssembly, of which Node's own modules are made, for crashes.
  process.env["UCX_HANDLE_ERRORS"] ??= "none";
  const { library, file } = open(koffi, candidates(env));
  const version = versionOf(koffi, library);
  const abi = abiOf(file, version);
  if (abi === undefined) throw unknownMpiError(file, version);
  const handle = abi.handleBytes === 4 ? "int" : P;
  const bound = Object.entries(SIGNATURES).map(([name, types]) => [
    name,
    library.func(`MPI_${name}`, "int", types.map((type) => (type === "handle" ? handle : type))),
  ]);
  const handles = HANDLES.map((name) => {
    const value = abi.handles[name];
    return [name, typeof value === "string" ? koffi.address(library.symbol(value)) : value];
  });
  return {
    abi, file, version,
    call: Object.fromEntries(bound) as Calls,
    handles: Object.fromEntries(handles) as Record<HandleName, Handle>,
    address: (view) => koffi.address(view),
  };
}
