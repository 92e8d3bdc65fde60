// The host's side of a ring, without a device: who needs what, and how it goes around and comes home.
export { Circulation, type CirculationOptions, type TransferObserver } from "./circulation.ts";
export { Homecoming, type HomecomingOptions } from "./homecoming.ts";
export { RingSchedule, type Pair, type ScheduleProblem, type Travel } from "./schedule.ts";
