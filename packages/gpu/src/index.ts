export { isSoftwareAdapter, type GpuCaps, type GpuInfo } from "./caps.ts";
export { GpuError } from "./errors.ts";
export { Gpu, openGpu } from "./gpu.ts";
export type { GpuOptions, GpuStats, Workgroups } from "./options.ts";
export { defineKernel, flatGrid, flatIndex, kernelFamily, type BindingSpec, type Feature, type Kernel, type KernelSpec, type ParamType } from "./kernel.ts";
export { bucketBytes, BufferPool, OFFSET_ALIGNMENT, type BufferSlice, type PoolBuffer } from "./pool.ts";
export { profileTable, type ProfileRow } from "./profiler.ts";
export { Tuner, tunerOf, useTuner, type TuneCandidate, type TuneMode, type TunerOptions, type TuneRecord, type TuneRow, type TuneStore, type TuneTask } from "./tuner.ts";
export { f32Literal, wgsl, type WgslPart } from "./wgsl.ts";
