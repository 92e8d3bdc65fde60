/** The application binary interfaces that MPI libraries come in: how wide a handle is, what constants are, what a status holds. */
export type AbiKind = "open-mpi" | "mpich" | "mpi-5";

/** The handles that we use, by their names without `MPI_`. */
export const HANDLES = [
  "COMM_WORLD", "BYTE", "FLOAT", "DOUBLE", "INT32_T", "INT64_T", "SUM", "MAX", "REQUEST_NULL", "ERRORS_RETURN",
] as const;
export type HandleName = (typeof HANDLES)[number];

export interface Abi {
  readonly kind: AbiKind;
  /** Bytes of a handle: an `int`, or a pointer. */
  readonly handleBytes: 4 | 8;
  /** Each handle's value, or the symbol whose address is its value. */
  readonly handles: Readonly<Record<HandleName, number | string>>;
  readonly statusBytes: number;
  readonly threadFunneled: number;
  readonly anySource: number;
  readonly inPlace: bigint;
}

/** Open MPI 3 to 5, `libmpi.so.40`. Source: its `mpi.h`; handles are addresses of the library's own objects. */
const openMpi: Abi = {
  kind: "open-mpi",
  handleBytes: 8,
  handles: {
    COMM_WORLD: "ompi_mpi_comm_world", BYTE: "ompi_mpi_byte", FLOAT: "ompi_mpi_float", DOUBLE: "ompi_mpi_double",
    INT32_T: "ompi_mpi_int32_t", INT64_T: "ompi_mpi_int64_t", SUM: "ompi_mpi_op_sum", MAX: "ompi_mpi_op_max",
    REQUEST_NULL: "ompi_request_null", ERRORS_RETURN: "ompi_mpi_errors_return",
  },
  statusBytes: 24,
  threadFunneled: 1,
  anySource: -1,
  inPlace: 1n,
};

/**
 * The MPICH family, `libmpich.so.12` or `libmpi.so.12`: MPICH 3 and 4, Intel MPI, Cray MPICH, MVAPICH, ParaStation, which
 * agreed on one ABI (https://www.mpich.org/abi). Source: MPICH's `mpi.h`.
 */
const mpich: Abi = {
  kind: "mpich",
  handleBytes: 4,
  handles: {
    COMM_WORLD: 0x44000000, BYTE: 0x4c00010d, FLOAT: 0x4c00040a, DOUBLE: 0x4c00080b, INT32_T: 0x4c000439, INT64_T: 0x4c00083a,
    SUM: 0x58000003, MAX: 0x58000001, REQUEST_NULL: 0x2c000000, ERRORS_RETURN: 0x54000001,
  },
  statusBytes: 20,
  threadFunneled: 1,
  anySource: -2,
  inPlace: 0xffffffffffffffffn,
};

/**
 * The ABI of the MPI 5.0 standard, `libmpi_abi.so`: MPICH 5, Open MPI 6. Source: the standard's header, chapter 20. No library
 * of this kind was at hand: the table has not been run.
 */
const mpi5: Abi = {
  kind: "mpi-5",
  handleBytes: 8,
  handles: {
    COMM_WORLD: 0x101, BYTE: 0x247, FLOAT: 0x210, DOUBLE: 0x214, INT32_T: 0x250, INT64_T: 0x258, SUM: 0x21, MAX: 0x23,
    REQUEST_NULL: 0x180, ERRORS_RETURN: 0x143,
  },
  statusBytes: 32,
  threadFunneled: 1024,
  anySource: -1,
  inPlace: 1n,
};

export const ABIS: Readonly<Record<AbiKind, Abi>> = { "open-mpi": openMpi, mpich, "mpi-5": mpi5 };

const MPICH_FAMILY = /MPICH|Intel\(R\) MPI|MVAPICH|ParaStation/i;

/**
 * Which ABI a library speaks. The file's name tells the standard's, since MPICH 5 says "MPICH" of both of its libraries; what
 * `MPI_Get_library_version` says tells the others. Undefined for a library of neither family.
 */
export function abiOf(file: string, version: string): Abi | undefined {
  if (file.split("/").at(-1)!.includes("mpi_abi")) return ABIS["mpi-5"];
  if (version.includes("Open MPI")) return ABIS["open-mpi"];
  return MPICH_FAMILY.test(version) ? ABIS.mpich : undefined;
}
