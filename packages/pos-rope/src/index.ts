export { rope, type RopeConfig } from "./plugin.ts";
export { frequencies, rotate, rotaryTables, unrotate, type RotaryFrequencies, type RotaryLayout, type RotaryTables, type Rotation } from "./reference.ts";
export { ropeFrequencies, type DynamicScaling, type FrequencyOptions, type Llama3Scaling, type LongRopeScaling, type RopeScaling, type YarnScaling } from "./scaling.ts";
