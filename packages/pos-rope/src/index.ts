export { rope, type RopeConfig } from "./plugin.ts";
export { frequencies, rotate, rotaryTables, unrotate, type RotaryLayout, type RotaryTables } from "./reference.ts";
