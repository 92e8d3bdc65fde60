import type { Engine } from "@polyhead/tensor";
import type { CaseRecord } from "../record.ts";
import { onnxOps } from "./onnx-ops.ts";
import { trainNanoGpt } from "./train-nanogpt.ts";

/** Runs the cases of one set, those whose names are wanted. */
export type ReferenceSet = (data: string, engine: Engine, wanted: (name: string) => boolean) => AsyncGenerator<CaseRecord>;

export const SETS: Readonly<Record<string, ReferenceSet>> = { "onnx-ops": onnxOps, "train-nanogpt": trainNanoGpt };
