import type { Family } from "../family.ts";

/** Every family that is known without being given. */
export const FAMILIES: readonly Family[] = [];
