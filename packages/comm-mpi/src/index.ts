export { underLauncher } from "./launcher.ts";
export { type Launcher, mpiLaunchers } from "./launchers.ts";
export { mpiCommunicator } from "./mpi-communicator.ts";
export { LIBRARY_VARIABLE } from "./search.ts";
