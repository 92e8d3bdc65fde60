import { collectiveLaws } from "./communicator-laws-collectives.ts";
import type { CommunicatorLaw } from "./communicator-laws-common.ts";
import { failureLaws } from "./communicator-laws-failures.ts";
import { messageLaws } from "./communicator-laws-messages.ts";
import { splitLaws } from "./communicator-laws-splits.ts";

export type { CommunicatorLaw } from "./communicator-laws-common.ts";

/**
 * The laws of the contract of communicators, as programs that every rank runs at the same time with its own communicator,
 * among at least `ranks` of them. Those that are not fatal may follow each other on the same ranks.
 */
export const communicatorLaws = (): CommunicatorLaw[] => [...messageLaws, ...collectiveLaws, ...splitLaws, ...failureLaws];
