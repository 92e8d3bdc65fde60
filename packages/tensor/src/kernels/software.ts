import type { Gpu } from "@polyhead/gpu";

/** GPUs that are a program on the CPU: workgroup memory is plain memory there, and a barrier costs as much as hundreds of sums. */
export const isSoftware = ({ info }: Pick<Gpu, "info">): boolean => info.software;
