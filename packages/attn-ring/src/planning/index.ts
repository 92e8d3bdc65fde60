export { allowedPairs, causalBalance, deviceMemory, hidingTokens, stepTimes, type DeviceMemory, type StepTimes } from "./formulas.ts";
export { gatherHeads, type GatheredHeads } from "./heads.ts";
export { pairsBetween } from "./pairs.ts";
export { flopsPerPair, reachOf, type Reach, type RingMachine, type RingProblem } from "./problem.ts";
export { simulateRing, type Simulated, type SimulateOptions } from "./simulate.ts";
export { balanceOf, blockAt, countSteps, wireBytes, type BlockTravel, type RingBalance, type RingSteps, type WireBytes } from "./steps.ts";
export type { RankTimeline, RingEvent, RingObserver, RingPhase, RingWork } from "./timeline.ts";
