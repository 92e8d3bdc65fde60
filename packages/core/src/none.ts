import type { PositionPlugin } from "./contracts/position.ts";
import { definePosition } from "./define.ts";

/** No position at all: the empty set of hooks (NoPE, Kazemnejad et al. 2023). Legal with every attention layer. */
export const none: PositionPlugin<"none", never> = definePosition({
  name: "none",
  sites: [],
  options: {},
  create: () => ({ hooks: [] }),
});
